"""Folds over the log: terminal, statistics, report."""
