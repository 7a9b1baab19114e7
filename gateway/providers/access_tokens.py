"""
Access tokens that are fetched, kept and renewed: Google's for a service account, Microsoft's for an application.

One fetch at a time for each account, whoever waits for it; a token is renewed behind while it is still good for some
minutes. https://developers.google.com/identity/protocols/oauth2/service-account and
https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow (read 2026-11).
"""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.providers import wire_json
from gateway.providers.base import ProviderError, UpstreamRequest, UpstreamResponse
from gateway.providers.credentials import CredentialInvalid, Fields, service_account

Send = Callable[[UpstreamRequest], Awaitable[UpstreamResponse]]

RENEW_BEFORE_SECONDS: Final = 300
_GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_AZURE_SCOPE: Final = "https://cognitiveservices.azure.com/.default"
_ASSERTION_SECONDS: Final = 3_600
_FORM: Final = (
    ("content-type", "application/x-www-form-urlencoded"),
    ("accept", "application/json"),
    ("user-agent", "exerati/1"),
)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token and when it ends, in `time.time()` seconds."""

    value: str = field(repr=False)
    expires_at: float


class AccessTokens:
    """The tokens of one process, by the credential that they were fetched with."""

    def __init__(self, send: Send, *, clock: Callable[[], float] = time.time) -> None:
        self._send = send
        self._clock = clock
        self._tokens: dict[tuple[str, str], AccessToken] = {}
        self._fetches: dict[tuple[str, str], asyncio.Task[AccessToken]] = {}

    async def get(self, api: str, credential: str, fields: Fields) -> str:
        """Return a token that is good now. Raises ProviderError, nothing of the call itself having been sent."""
        name = (api, credential)
        token, now = self._tokens.get(name), self._clock()
        if token is not None and now < token.expires_at - RENEW_BEFORE_SECONDS:
            return token.value
        fetch = self._fetches.get(name)
        if fetch is None:
            fetch = self._fetches[name] = asyncio.create_task(self._fetch(fields))
            fetch.add_done_callback(lambda done: self._fetched(name, done))
        if token is not None and now < token.expires_at:
            return token.value
        # A caller that gives up must not take the token away from the others.
        return (await asyncio.shield(fetch)).value

    async def close(self) -> None:
        """End what is being fetched."""
        for fetch in list(self._fetches.values()):
            fetch.cancel()
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)

    def _fetched(self, name: tuple[str, str], fetch: "asyncio.Task[AccessToken]") -> None:
        self._fetches.pop(name, None)
        if not fetch.cancelled() and fetch.exception() is None:
            self._tokens[name] = fetch.result()

    async def _fetch(self, fields: Fields) -> AccessToken:
        started = self._clock()
        try:
            request = token_request(fields, now=started)
        except CredentialInvalid as error:
            raise _refused() from error
        try:
            response = await self._send(request)
            try:
                status, data = response.status, await response.read()
            finally:
                await response.close()
        except ProviderError as error:
            error.sent = False  # of the call that waits for the token
            raise
        return read_token(status, data, now=started)


def token_request(fields: Fields, *, now: float) -> UpstreamRequest:
    """Return the request for a token. Raises CredentialInvalid."""
    if "service_account" in fields:
        account = service_account(fields)
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": google_assertion(account, now=now),
        }
        return UpstreamRequest(account["token_uri"], _FORM, urlencode(form).encode())
    tenant = quote(fields["tenant_id"], safe="")
    form = {
        "grant_type": "client_credentials",
        "client_id": fields["client_id"],
        "client_secret": fields["client_secret"],
        "scope": _AZURE_SCOPE,
    }
    url = f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
    return UpstreamRequest(url, _FORM, urlencode(form).encode())


def google_assertion(account: Fields, *, now: float) -> str:
    """Return the signed statement (a JWT, RS256) that is exchanged for a token. Raises CredentialInvalid."""
    header = {"alg": "RS256", "typ": "JWT", "kid": account["private_key_id"]}
    claims = {
        "iss": account["client_email"],
        "scope": _GOOGLE_SCOPE,
        "aud": account["token_uri"],
        "iat": int(now),
        "exp": int(now) + _ASSERTION_SECONDS,
    }
    text = f"{_encoded(header)}.{_encoded(claims)}"
    try:
        key = serialization.load_pem_private_key(account["private_key"].encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CredentialInvalid("Its service account's private_key is no RSA key in PEM.")
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{_base64url(signature)}"


def read_token(status: int, data: bytes, *, now: float) -> AccessToken:
    """Return the token in an answer. Raises ProviderError; what was answered is not shown."""
    if status in (408, 429) or status >= 500:
        raise ProviderError("overloaded", "The provider gives no access for now.", sent=False)
    if status != 200:
        raise _refused()
    body = wire_json.decode(data)
    value, seconds = body.get("access_token"), body.get("expires_in")
    if not isinstance(value, str) or not value or not isinstance(seconds, int | float):
        raise _refused()
    return AccessToken(value, now + seconds)


def _refused() -> ProviderError:
    return ProviderError("auth", "The provider refused our account.", sent=False)


def _encoded(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
