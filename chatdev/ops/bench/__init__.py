"""Measures the user's endpoints side by side, with the company's own prompts.

``workload`` defines the requests, ``contenders`` the endpoints and their prices, ``measure`` sends the requests,
``figures`` computes the results, ``report`` and ``picture`` show them.
"""
