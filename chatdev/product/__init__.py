"""Judging a product from outside: what goes into it, what comes out, and what of that is right."""
