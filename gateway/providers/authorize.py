"""
The last step before a request leaves: our account's address, and what proves that it is ours.

Only APIs whose proof is made for each request or has to be fetched pass here; the others have their key in a header
from their translator on.
"""

from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from gateway.providers import credentials
from gateway.providers.access_tokens import AccessTokens, Send
from gateway.providers.amazon import bedrock_sigv4
from gateway.providers.amazon.bedrock_sigv4 import SigningKey
from gateway.providers.base import ProviderError, Upstream, UpstreamRequest
from gateway.providers.credentials import CredentialInvalid, Fields

APIS: Final = frozenset(credentials.KINDS)
# Headers of a plain key; elsewhere it is a bearer.
_KEY_HEADERS: Final = {"vertex": "x-goog-api-key", "vertex-claude": "x-goog-api-key"}
_AZURE_KEY_HEADER: Final = "api-key"


class Authorizer:
    """Authorizes the requests of one process."""

    def __init__(self, send: Send) -> None:
        self._tokens = AccessTokens(send)

    async def authorized(self, request: UpstreamRequest, upstream: Upstream) -> UpstreamRequest:
        """Return the request as it may be sent. Raises ProviderError, nothing having been sent."""
        if upstream.api not in APIS:
            return request
        try:
            fields = credentials.unpack(upstream.api, upstream.credential)
            request = replace(request, url=credentials.filled(request.url, fields))
        except CredentialInvalid as error:
            raise ProviderError(
                "auth", "Our account with the provider is not set up.", sent=False
            ) from error
        if "access_key_id" in fields:
            return bedrock_sigv4.signed(request, key=_signing_key(fields), now=datetime.now(UTC))
        if "service_account" in fields or "client_secret" in fields:
            token = await self._tokens.get(upstream.api, upstream.credential, fields)
            return _with_header(request, "authorization", f"Bearer {token}")
        return _with_key(request, upstream, fields)

    async def close(self) -> None:
        """End what is under way."""
        await self._tokens.close()


def _with_key(request: UpstreamRequest, upstream: Upstream, fields: Fields) -> UpstreamRequest:
    """A server of one's own that speaks such an API may want no key at all."""
    key = fields.get("api_key")
    if not key:
        return request
    if upstream.api == "azure":
        return _with_header(request, _AZURE_KEY_HEADER, key)
    if name := _KEY_HEADERS.get(upstream.api):
        return _with_header(request, name, key)
    return _with_header(request, "authorization", f"Bearer {key}")


def _with_header(request: UpstreamRequest, name: str, value: str) -> UpstreamRequest:
    return replace(request, headers=(*request.headers, (name, value)))


def _signing_key(fields: Fields) -> SigningKey:
    return SigningKey(
        access_key_id=fields["access_key_id"],
        secret_access_key=fields.get("secret_access_key", ""),
        session_token=fields.get("session_token", ""),
        region=fields.get("region", ""),
    )
