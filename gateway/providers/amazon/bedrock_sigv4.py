"""
Amazon's signature of a request, version 4. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html (read 2026-11). Checked against the
published test suite in tests/gateway/test_bedrock_sigv4.py.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from msgspec import structs

from gateway.providers.base import UpstreamRequest

Headers = tuple[tuple[str, str], ...]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
# They belong to one connection or may be changed on the way.
_UNSIGNED: Final = frozenset(
    {"accept", "accept-encoding", "connection", "expect", "user-agent", "x-amzn-trace-id"}
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An AWS access key, and the region and service that its signatures are for."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    region: str = ""
    service: str = "bedrock"


def signed(request: UpstreamRequest, *, key: SigningKey, now: datetime) -> UpstreamRequest:
    """Return the request with the headers that prove who sends it; it is good for about five minutes."""
    headers = sign(
        request.method, request.url, headers=request.headers, body=request.body, key=key, now=now
    )
    return structs.replace(request, headers=headers)


def sign(
    method: str, url: str, *, headers: Headers, body: bytes, key: SigningKey, now: datetime
) -> Headers:
    """Return `headers` with date, session token and signature added; `now` is aware."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = (*headers, ("x-amz-date", stamp))
    if key.session_token:
        headers = (*headers, ("x-amz-security-token", key.session_token))
    text, names = _canonical(method, url, headers, body)
    scope = f"{stamp[:8]}/{key.region}/{key.service}/aws4_request"
    digest = hashlib.sha256(text.encode()).hexdigest()
    to_sign = "\n".join((_ALGORITHM, stamp, scope, digest))
    signature = _hmac(_day_key(key, stamp[:8]), to_sign).hex()
    told = f"Credential={key.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return (*headers, ("authorization", f"{_ALGORITHM} {told}"))


def _canonical(method: str, url: str, headers: Headers, body: bytes) -> tuple[str, str]:
    """Return the request in the one form that both sides sign, and the names of the headers in it."""
    parts = urlsplit(url)
    told = {"host": [parts.netloc]}
    for name, value in headers:
        if (lower := name.lower()) not in _UNSIGNED:
            told.setdefault(lower, []).append(" ".join(value.split()))
    names = ";".join(sorted(told))
    lines = "".join(f"{name}:{','.join(told[name])}\n" for name in sorted(told))
    # What is escaped in the address is escaped once more, but for S3.
    path = quote(parts.path or "/", safe="/-_.~")
    query = _query(parse_qsl(parts.query, keep_blank_values=True))
    digest = hashlib.sha256(body).hexdigest()
    return "\n".join((method, path, query, lines, names, digest)), names


def _query(pairs: Iterable[tuple[str, str]]) -> str:
    escaped = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in escaped)


def _day_key(key: SigningKey, day: str) -> bytes:
    derived = ("AWS4" + key.secret_access_key).encode()
    for word in (day, key.region, key.service, "aws4_request"):
        derived = _hmac(derived, word)
    return derived


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
