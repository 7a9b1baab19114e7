"""Secrets at rest: AES-256-GCM under a key derived from the server's field key."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

NONCE_BYTES = 12
VERSION = b"\x01"
SHORTEST = len(VERSION) + NONCE_BYTES + 16  # an empty secret and its authentication tag


class CannotDecrypt(Exception):
    """The stored secret was written under another field key, or was altered."""


def encrypt(secret: str, *, context: str) -> bytes:
    """Return the sealed secret; the context (such as `provider:openai`) must be given again to open it."""
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + _cipher().encrypt(nonce, secret.encode(), context.encode())


def decrypt(sealed: bytes | memoryview, *, context: str) -> str:
    """Return the secret sealed by `encrypt`; raises CannotDecrypt."""
    sealed = bytes(sealed)
    if sealed[:1] != VERSION or len(sealed) < SHORTEST:
        raise CannotDecrypt("unknown version, or cut off")
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return _cipher().decrypt(nonce, body, context.encode()).decode()
    except InvalidTag:
        raise CannotDecrypt("check EXERATI_FIELD_KEY") from None


def _cipher() -> AESGCM:
    return AESGCM(
        HKDF(SHA256(), 32, salt=None, info=b"exerati field key").derive(settings.FIELD_KEY)
    )
