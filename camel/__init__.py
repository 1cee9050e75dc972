"""ChatDev 1.0's import names. Only a clone has this package; the wheel contains only ``chatdev``."""
