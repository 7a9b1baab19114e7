"""
Where our deployments at Azure answer. Pure.

https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle (read 2026-11). Three forms, told by
the provider's address: `.../openai/v1` (the model in the body), `.../models?api-version=...` (Foundry's model
inference, the same), `.../openai?api-version=...` (the deployment in the path).
"""

import re
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from gateway.providers.base import ProviderError

API: Final = "azure"
_DEPLOYMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_API_VERSION: Final = "api-version=2024-10-21"  # the last one before the address without versions


def of_deployment(base_url: str, *, path: str, model: str) -> str:
    """Return the address of one route of a deployment. Raises ProviderError for a name that is none."""
    if not _DEPLOYMENT.fullmatch(model):
        raise ProviderError("not_found", "The provider has no such model.", sent=False)
    parts = urlsplit(base_url)
    base, query = parts.path.rstrip("/"), parts.query
    if base.endswith("/openai"):
        base += f"/deployments/{quote(model, safe='')}"
        query = query or _API_VERSION
    return urlunsplit((parts.scheme, parts.netloc, base + path, query, ""))


def without_version(base_url: str) -> str:
    """Return the base of the resource's address without versions, where every model is named in the body."""
    parts = urlsplit(base_url)
    return urlunsplit((parts.scheme, parts.netloc, "/openai/v1", "", ""))
