"""Runs what models wrote."""
