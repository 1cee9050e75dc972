"""Runs model-written programs."""
