"""One run, from a task to a judged product."""
