"""A stand-in model server that answers from a recording."""
