"""Which translator speaks which provider API."""

from collections.abc import Mapping
from typing import Final

from gateway.providers.amazon.bedrock import BedrockAdapter
from gateway.providers.anthropic.anthropic import AnthropicAdapter
from gateway.providers.base import Adapter
from gateway.providers.cohere.cohere import CohereAdapter
from gateway.providers.google.gemini import GeminiAdapter
from gateway.providers.google.vertex import VertexAdapter, VertexClaudeAdapter
from gateway.providers.openai.azure import AzureAdapter
from gateway.providers.openai.openai import OpenAIAdapter

_OPENAI: Final = OpenAIAdapter()

# The sandbox answers in OpenAI's wire format, so that all behind it is what real providers run through.
ADAPTERS: Final[Mapping[str, Adapter]] = {
    "openai": _OPENAI,
    "sandbox": _OPENAI,
    "anthropic": AnthropicAdapter(),
    "gemini": GeminiAdapter(),
    "bedrock": BedrockAdapter(),
    "cohere": CohereAdapter(),
    "vertex": VertexAdapter(),
    "vertex-claude": VertexClaudeAdapter(),
    "azure": AzureAdapter(),
}


class NoAdapter(Exception):
    """No translator is written for this provider API."""

    def __init__(self, *, api: str) -> None:
        super().__init__(api)
        self.api = api


def adapter(api: str) -> Adapter:
    """Return the translator for an `api` of `gateway.models.Provider`. Raises NoAdapter."""
    try:
        return ADAPTERS[api]
    except KeyError:
        raise NoAdapter(api=api) from None
