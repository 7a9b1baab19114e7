"""The call: the OpenAI-compatible API."""
