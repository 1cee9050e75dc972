"""Measures what a company is worth: arms build the same tasks with the same model; hidden cases judge the results."""
