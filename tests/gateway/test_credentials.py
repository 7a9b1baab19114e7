"""Credentials of several fields: what is taken, what is refused, and that no secret is in what is said."""

import json

import pytest

from gateway.providers import credentials
from gateway.providers.credentials import CredentialInvalid

ACCOUNT = {
    "client_email": "gateway@project-1.iam.example",
    "private_key": "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n",
    "private_key_id": "abcdef1234",
    "project_id": "project-1",
    "token_uri": "https://oauth2.googleapis.com/token",
}
AWS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "CANARY", "region": "us-east-1"}


def test_what_each_api_needs_is_packed_and_unpacked():
    text = credentials.pack("bedrock", {**AWS, "session_token": ""})

    assert credentials.unpack("bedrock", text) == AWS
    assert credentials.last4(text) == "MPLE"


def test_a_plain_key_is_a_credential_too():
    assert credentials.unpack("bedrock", "ABSK-1234") == {"api_key": "ABSK-1234"}
    assert credentials.unpack("vertex", "") == {"region": "global"}
    assert credentials.last4("ABSK-1234") == "1234"


def test_a_service_account_names_its_project():
    text = credentials.pack("vertex", {"service_account": json.dumps(ACCOUNT)})

    fields = credentials.unpack("vertex", text)
    assert (fields["project"], fields["region"]) == ("project-1", "global")
    assert credentials.last4(text) == "1234"


@pytest.mark.parametrize(
    ("api", "fields"),
    [
        ("bedrock", {"region": "us-east-1"}),
        ("bedrock", {"access_key_id": "AKID", "region": "us-east-1"}),
        ("bedrock", {**AWS, "api_key": "CANARY"}),
        ("bedrock", {**AWS, "region": "us-east-1.evil.example/CANARY"}),
        ("bedrock", {**AWS, "color": "CANARY"}),
        ("bedrock", {**AWS, "session_token": "CANARY" * 4000}),
        ("vertex", {"service_account": "CANARY"}),
        ("vertex", {"service_account": json.dumps({**ACCOUNT, "private_key": ""})}),
        ("vertex", {"service_account": json.dumps({**ACCOUNT, "token_uri": "http://CANARY"})}),
        ("azure", {"tenant_id": "t", "client_id": "c", "resource": "r"}),
    ],
)
def test_a_credential_that_cannot_work_is_refused_without_showing_it(api, fields):
    with pytest.raises(CredentialInvalid) as caught:
        credentials.pack(api, fields)

    assert "CANARY" not in caught.value.reason
    assert caught.value.reason


@pytest.mark.parametrize("text", ["{", "{}", '{"api_key": 7, "region": "x"}', '["a"]', "{CANARY"])
def test_a_text_that_is_no_credential_is_refused(text):
    if text.startswith("["):
        assert credentials.unpack("bedrock", text) == {"api_key": text}
        return
    with pytest.raises(CredentialInvalid) as caught:
        credentials.compose("bedrock", text)

    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("us-central1", "us-central1-aiplatform.googleapis.com"),
    ],
)
def test_addresses_get_our_region_and_project(region, host):
    fields = {"region": region, "project": "p-1"}

    address = credentials.filled("https://{google_host}/v1/projects/{project}/x/{region}", fields)

    assert address == f"https://{host}/v1/projects/p-1/x/{region}"


def test_an_address_that_cannot_be_filled_is_refused():
    with pytest.raises(CredentialInvalid):
        credentials.filled("https://bedrock-runtime.{region}.amazonaws.com", {"api_key": "x"})
