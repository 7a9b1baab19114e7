"""Signatures of reports, against the sample that GitHub's documentation gives for its partner programme."""

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exerati.lib import signed_reports
from exerati.lib.signed_reports import BadSignature

# docs.github.com/code-security/secret-scanning/secret-scanning-partner-program, read 2026-11-28
IDENTIFIER = "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c"
PEM = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd
AjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==
-----END PUBLIC KEY-----
"""
BODY = (
    b'[{"source":"commit","token":"some_token","type":"some_type",'
    b'"url":"https://example.com/base-repo-url/"}]'
)
SIGNATURE = "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg=="


def document(pem=PEM):
    return json.dumps(
        {"public_keys": [{"key_identifier": IDENTIFIER, "key": pem, "is_current": True}]}
    )


def verify(body=BODY, *, identifier=IDENTIFIER, signature=SIGNATURE):
    keys = signed_reports.read_keys(document())
    signed_reports.verify(body, identifier=identifier, signature=signature, keys=keys)


def test_the_sample_of_github_is_good():
    verify()


@pytest.mark.parametrize(
    "changed",
    [
        {"body": BODY + b"\n"},
        {"identifier": "somebody else"},
        {"signature": ""},
        {"signature": "no base-64"},
        {"signature": SIGNATURE.replace("QDaMK", "QDaMM")},
        {"signature": "é"},
    ],
)
def test_anything_else_is_refused(changed):
    with pytest.raises(BadSignature):
        verify(**changed)


def test_no_document_means_no_keys():
    assert signed_reports.read_keys(" ") == {}


def other_curve():
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


@pytest.mark.parametrize(
    "wrong",
    ["keys", "[]", "{}", '{"public_keys": [1]}', document("no key"), document(other_curve())],
)
def test_what_is_no_document_of_keys_is_refused(wrong):
    with pytest.raises(ValueError, match=r"\w"):
        signed_reports.read_keys(wrong)
