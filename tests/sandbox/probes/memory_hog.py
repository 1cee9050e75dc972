"""Memory hogs: one process"""

kept = []
while True:
    kept.append(bytearray(b"x" * (8 << 20)))
