"""ChatDev on the user's own models: one sentence in, tested software out."""

__version__ = "0.1.0"
