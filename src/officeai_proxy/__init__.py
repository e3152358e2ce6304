"""A recording proxy for OpenAI clients."""

__version__ = "0.1.0"
