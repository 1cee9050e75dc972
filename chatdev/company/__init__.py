"""Companies: roles, phases and the order of their work."""
