"""The log: the one source of truth of a run."""
