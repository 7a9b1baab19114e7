"""
The one way from a request to its API key, for every route of /v1.

The key may come as `Authorization: Bearer`, `x-api-key` or `x-goog-api-key`; the same key twice is
accepted, two different ones are refused, and a key in the query string is not looked at.
"""

import time
from collections.abc import Callable, Iterable

from apikeys import keys
from apikeys.models import DisabledReason
from apikeys.snapshots import KeyDirectory, KeySnapshot

BEARER_HEADER = b"authorization"
KEY_HEADERS = (b"x-api-key", b"api-key", b"x-goog-api-key")


class AuthenticationFailed(Exception):
    """
    The request carries no usable key; `shown` is what may be repeated of it (prefix and last 4).

    `key` is the key where it is a known one that may not be used now, or not from there.
    """

    def __init__(self, shown: str = "", *, key: KeySnapshot | None = None) -> None:
        super().__init__(shown)
        self.shown = shown
        self.key = key


class KeyMissing(AuthenticationFailed):
    """No credential at all."""


class TwoKeys(AuthenticationFailed):
    """Two different credentials."""


class KeyInvalid(AuthenticationFailed):
    """Malformed, or nobody's key."""


class KeyRevoked(AuthenticationFailed):
    """Revoked for good."""


class KeyDisabled(AuthenticationFailed):
    """Switched off for now."""


class KeyLeaked(KeyDisabled):
    """Switched off since it was found in public."""


class KeyFrozen(KeyDisabled):
    """Switched off since it spent far more than usual."""


class KeyExpired(AuthenticationFailed):
    """Past its end date."""


class OrganizationSuspended(AuthenticationFailed):
    """The key is fine, its organization is suspended."""


class IpNotAllowed(AuthenticationFailed):
    """The client's address is not in the key's allow-list."""


INACTIVE: dict[str, type[AuthenticationFailed]] = {
    "revoked": KeyRevoked,
    "disabled": KeyDisabled,
    DisabledReason.LEAKED: KeyLeaked,
    DisabledReason.SPIKE: KeyFrozen,
    "expired": KeyExpired,
    "suspended": OrganizationSuspended,
    "unknown": KeyInvalid,
}


async def authenticate(
    headers: Iterable[tuple[bytes, bytes]],
    *,
    client_address: str,
    directory: KeyDirectory,
    pepper: bytes,
) -> KeySnapshot:
    """Return the active key of a request's ASGI headers; raises a kind of AuthenticationFailed."""
    secret = _well_formed(extract(headers))
    snapshot = await directory.find(keys.digest(secret, pepper=pepper))
    return _usable(snapshot, secret=secret, client_address=client_address)


def authenticate_from(
    headers: Iterable[tuple[bytes, bytes]],
    *,
    client_address: str,
    find: Callable[[bytes], KeySnapshot | None],
    pepper: bytes,
) -> KeySnapshot:
    """Do the same where there is no directory of keys: `find` reads one by its digest."""
    secret = _well_formed(extract(headers))
    snapshot = find(keys.digest(secret, pepper=pepper))
    return _usable(snapshot, secret=secret, client_address=client_address)


def _well_formed(secret: str) -> str:
    try:
        keys.parse(secret)
    except keys.Malformed:
        raise KeyInvalid(shown(secret)) from None
    return secret


def _usable(snapshot: KeySnapshot | None, *, secret: str, client_address: str) -> KeySnapshot:
    if snapshot is None or snapshot.kind != "key":
        raise KeyInvalid(shown(secret))  # a seat is nobody's key, whatever its hash is of
    reason = snapshot.inactive_reason(time.time())
    if reason:
        raise INACTIVE[reason](shown(secret), key=snapshot)
    if not snapshot.allows_address(client_address):
        raise IpNotAllowed(shown(secret), key=snapshot)
    return snapshot


def extract(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the one credential in the headers; raises KeyMissing, TwoKeys or KeyInvalid."""
    found = ""
    for name, value in headers:
        if name == BEARER_HEADER:
            candidate = _bearer(value)
        elif name in KEY_HEADERS:
            candidate = value.decode("latin-1").strip()
        else:
            continue
        if not candidate:
            continue
        if found and candidate != found:
            raise TwoKeys
        found = candidate
    if not found:
        raise KeyMissing
    return found


def shown(secret: str) -> str:
    """Return what may be repeated of a credential: how it starts when it looks like ours, and its last 4."""
    start = secret[:12] if secret.startswith("sk-exr-") else secret[:3]
    return f"{start}…{secret[-4:]}" if len(secret) > 20 else "…"


def _bearer(value: bytes) -> str:
    scheme, _, credential = value.decode("latin-1").strip().partition(" ")
    if scheme and scheme.lower() != "bearer":
        raise KeyInvalid
    return credential.strip()
