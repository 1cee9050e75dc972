"""Who works here, and in which order."""
