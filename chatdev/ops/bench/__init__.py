"""Measures the user's endpoints side by side, on the company's own prompts.

``workload`` says what is asked, ``contenders`` of whom and at what price, ``measure`` asks it, ``figures`` reckons what
came of it, ``report`` and ``picture`` show that.
"""
