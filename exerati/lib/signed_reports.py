"""
Reports signed with ECDSA on the curve P-256, as secret scanners send them. Pure.

The form is that of GitHub's secret scanning partner programme: the signature is base-64 of the DER form, over the raw
body with SHA-256, beside the identifier of the public key. The keys are published as one JSON document,
`{"public_keys": [{"key_identifier": …, "key": PEM, "is_current": …}]}`
(docs.github.com/code-security/secret-scanning, read 2026-11-28).
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PublicKeys = Mapping[str, ec.EllipticCurvePublicKey]


class BadSignature(ValueError):
    """The report is not signed with a key that we know, or its signature is of something else."""


def read_keys(document: str) -> dict[str, ec.EllipticCurvePublicKey]:
    """Return the public keys of a document by their identifiers, none for ""; raises ValueError for anything else."""
    if not document.strip():
        return {}
    try:
        rows: list[dict[str, Any]] = json.loads(document)["public_keys"]
        return {str(row["key_identifier"]): _key(str(row["key"])) for row in rows}
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("It is no document of public keys, as GitHub publishes it.") from error


def _key(pem: str) -> ec.EllipticCurvePublicKey:
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("A key of the document is none of the curve P-256.")
    return key


def verify(body: bytes, *, identifier: str, signature: str, keys: PublicKeys) -> None:
    """Return if the body is signed with the key of that identifier; raises BadSignature."""
    key = keys.get(identifier)
    if key is None:
        raise BadSignature("unknown key")
    try:
        key.verify(base64.b64decode(signature, validate=True), body, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:  # the second: no base-64
        raise BadSignature("wrong signature") from error
