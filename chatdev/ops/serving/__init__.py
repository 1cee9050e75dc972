"""A model server for this machine: which engine, whether it fits, its command, and its life from start to end."""
