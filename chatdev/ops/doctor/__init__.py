"""Checks what an endpoint can do; each finding comes with its next step."""
