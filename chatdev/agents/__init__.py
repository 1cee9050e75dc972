"""Conversations of roles, and how their answers are read."""
