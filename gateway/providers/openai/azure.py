"""
Azure OpenAI and Azure AI Foundry: OpenAI's bodies at Azure's addresses. Pure.

https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference (read 2026-11). Our credential is added by
`gateway.providers.authorize`: an `api-key`, or a bearer token of Microsoft Entra.
"""

from dataclasses import replace
from typing import Any

from msgspec import structs

from gateway.providers.base import Upstream, UpstreamRequest
from gateway.providers.openai import azure_address
from gateway.providers.openai.openai import OpenAIAdapter


class AzureAdapter(OpenAIAdapter):
    """The translator for Azure; see `Adapter`."""

    def chat_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any], stream: bool
    ) -> UpstreamRequest:
        """Return the request for a chat answer. Raises ProviderError for a name that is no deployment."""
        request = super().chat_request(
            _plain(upstream), upstream_model=upstream_model, body=body, stream=stream
        )
        return _addressed(request, upstream, path="/chat/completions", model=upstream_model)

    def embeddings_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any]
    ) -> UpstreamRequest:
        """Return the request for embeddings. Raises ProviderError for a name that is no deployment."""
        request = super().embeddings_request(
            _plain(upstream), upstream_model=upstream_model, body=body
        )
        return _addressed(request, upstream, path="/embeddings", model=upstream_model)


def _plain(upstream: Upstream) -> Upstream:
    return replace(upstream, credential="")


def _addressed(
    request: UpstreamRequest, upstream: Upstream, *, path: str, model: str
) -> UpstreamRequest:
    url = azure_address.of_deployment(upstream.base_url, path=path, model=model)
    return structs.replace(request, url=url)
