"""Many projects at once: the list of tasks and its ledger, the pool that carries them, and who tells of it."""
