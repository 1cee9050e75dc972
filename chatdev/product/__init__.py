"""Judges a product from outside: its input, its output, and whether that output is right."""
