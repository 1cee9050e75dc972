"""Endless loops"""

while True:
    pass
