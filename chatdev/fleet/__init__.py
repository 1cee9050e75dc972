"""Many projects in parallel: the task list, the ledger, the pool that runs the projects, and the progress display."""
