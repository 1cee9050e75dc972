"""A model server for this machine: the choice of engine, whether the model fits, the command, and its processes."""
