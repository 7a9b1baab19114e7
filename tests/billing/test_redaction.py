"""Canaries: what must not be in a stored body, and what must stay."""

import json

import pytest

from apikeys import keys
from billing.bodies import redaction

CANARIES = {
    "our key": keys.make("live").secret,
    "OpenAI key": "sk-proj-abcDEF123456_ghiJKL-789012",
    "Anthropic key": "sk-ant-api03-" + "x" * 40,
    "AWS key id": "AKIAIOSFODNN7EXAMPLE",
    "Google key": "AIza" + "Sy" * 18,
    "GitHub token": "ghp_" + "a1B2" * 9,
    "Slack token": "xoxb-123456789012-abcdefghij",
    "Stripe key": "rk_live_" + "a1" * 12,
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "bearer": "0123456789abcdefXYZ~",
    "private key": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
    "email": "dana.reyes+work@mail.example.co.uk",
    "card": "4242 4242 4242 4242",
    "card with dashes": "5555-5555-5555-4444",
    "plain card": "378282246310005",
}
WRAPPED = {
    "bearer": "Authorization: Bearer {}",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("name", CANARIES)
@pytest.mark.parametrize("form", ["{}", "see {}, please", '{{"a": "{}"}}', "x\n{}\ny"])
def test_canary_is_taken_out_wherever_it_stands(name, form):
    canary = CANARIES[name]
    text = form.format(WRAPPED.get(name, "{}").format(canary))

    found = redaction.redacted(text)

    assert canary not in found
    assert "[redacted" in found


@pytest.mark.parametrize("name", CANARIES)
def test_canary_inside_json_is_taken_out_and_the_json_stays_one(name):
    text = json.dumps({"messages": [{"content": WRAPPED.get(name, "{}").format(CANARIES[name])}]})

    found = redaction.redacted(text)

    assert CANARIES[name] not in found
    assert json.loads(found)["messages"][0]["content"]


@pytest.mark.parametrize(
    "text",
    [
        "the skill-set of a risk-taker",
        "order 1234567890123456",  # no card: the check digit is wrong
        "0000 0000 0000 0000",
        "3.14159265358979323846",
        "1732752000123",
        "write to us @ noon",
        "req_01jdz5n9v4f6h8k2m3p7q9r1st",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redaction.redacted(text) == text


def test_files_leave_only_their_size():
    picture = "data:image/png;base64," + "iVBORw0KGgo" * 100
    audio = json.dumps({"input_audio": {"data": "UklGRg" * 400, "format": "wav"}})

    assert redaction.redacted(picture) == f"[image/png of {len(picture):,} characters]"
    assert json.loads(redaction.redacted(audio))["input_audio"]["data"].startswith("[file of")


def test_long_text_is_cut_and_says_so():
    text = "a" * (redaction.MOST_CHARACTERS + 5)

    assert redaction.cut(text).endswith("[5 more characters were not stored]")
    assert redaction.cut("short") == "short"
