"""
Azure OpenAI and Azure AI Foundry: OpenAI's bodies at Azure's addresses. Pure.

https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference and .../api-version-lifecycle (read 2026-11). Three
forms of addresses, told by the provider's: `.../openai/v1` (the model in the body), `.../models?api-version=...`
(Foundry's model inference, the same), `.../openai?api-version=...` (the deployment in the path). Our credential is
added by `gateway.providers.authorize`: an `api-key`, or a bearer token of Microsoft Entra.
"""

import re
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

from gateway.providers.base import ProviderError, Upstream, UpstreamRequest
from gateway.providers.openai import OpenAIAdapter

_DEPLOYMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_API_VERSION: Final = "api-version=2024-10-21"  # the last one before the address without versions


class AzureAdapter(OpenAIAdapter):
    """The translator for Azure; see `Adapter`."""

    def chat_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any], stream: bool
    ) -> UpstreamRequest:
        """Return the request for a chat answer."""
        request = super().chat_request(
            _plain(upstream), upstream_model=upstream_model, body=body, stream=stream
        )
        return _addressed(request, upstream, path="/chat/completions", model=upstream_model)

    def embeddings_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any]
    ) -> UpstreamRequest:
        """Return the request for embeddings."""
        request = super().embeddings_request(
            _plain(upstream), upstream_model=upstream_model, body=body
        )
        return _addressed(request, upstream, path="/embeddings", model=upstream_model)


def address(base_url: str, *, path: str, model: str) -> str:
    """Return where a deployment of ours answers. Raises ProviderError for a name that is none."""
    if not _DEPLOYMENT.fullmatch(model):
        raise ProviderError("not_found", "The provider has no such model.", sent=False)
    parts = urlsplit(base_url)
    base, query = parts.path.rstrip("/"), parts.query
    if base.endswith("/openai"):
        base += f"/deployments/{quote(model, safe='')}"
        query = query or _API_VERSION
    return urlunsplit((parts.scheme, parts.netloc, base + path, query, ""))


def _plain(upstream: Upstream) -> Upstream:
    return replace(upstream, credential="")


def _addressed(
    request: UpstreamRequest, upstream: Upstream, *, path: str, model: str
) -> UpstreamRequest:
    return replace(request, url=address(upstream.base_url, path=path, model=model))
