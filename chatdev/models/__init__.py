"""From a conversation to an endpoint and back."""
