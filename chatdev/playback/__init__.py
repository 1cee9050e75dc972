"""A mock model server that answers from a recording."""
