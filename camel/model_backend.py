"""ChatDev 1.0's names for the model backends."""

from chatdev.models.backend import ModelBackend, ModelFactory, OpenAIModel, StubModel, VLLMModel

__all__ = ["ModelBackend", "ModelFactory", "OpenAIModel", "StubModel", "VLLMModel"]
