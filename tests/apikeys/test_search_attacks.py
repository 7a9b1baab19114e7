"""Attack F7: wildcards, NUL and patterns that are slow to match, in searches and in the patterns of a key."""

import time

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from apikeys.models import ApiKey
from apikeys.snapshots import KeySnapshot
from tests import factories

pytestmark = pytest.mark.django_db
ENOUGH_SECONDS = 5  # a matcher that tries every split would take years


@pytest.fixture
def keys(acme):
    return [factories.make_api_key(acme, name=name).key for name in ("100% off_season", "plain")]


@pytest.mark.parametrize(
    ("text", "found"),
    [("%", 1), ("%%%%", 0), ("f_s", 1), ("f%s", 0), ("0% o", 1), ("\\", 0), ("sk-exr-%", 0)],
)
def test_f7_wildcards_of_a_search_are_letters_like_others(acme, keys, text, found):
    assert acme.api_keys.matching(text).count() == found


@pytest.mark.parametrize(
    ("address", "parameter"),
    [
        *(("dashboard:keys", "q"), ("dashboard:palette", "q"), ("dashboard:requests", "q")),
        *(("dashboard:audit", "actor"), ("catalog", "q"), ("docs_search", "q")),
    ],
)
def test_f7_no_search_of_a_page_fails(alice_client, acme, keys, address, parameter):
    page = reverse(address, args=[acme.slug] if ":" in address else [])

    for text in ("%", "_" * 2_000, "a\0b", "(a+)+$", "\ud800"):
        answer = alice_client.get(page, {parameter: text.encode("utf-8", "surrogatepass")})

        assert answer.status_code in (200, 400), text


def test_f7_the_palette_takes_wildcards_for_letters(alice_client, acme, keys):
    page = reverse("dashboard:palette", args=[acme.slug])

    assert b"off_season" in alice_client.get(page, {"q": "100%"}).content
    assert b"plain" not in alice_client.get(page, {"q": "pl%n"}).content


def test_f7_a_pattern_of_many_stars_is_matched_at_once():
    snapshot = KeySnapshot(
        digest="",
        id=1,
        public_id="key_1",
        name="",
        organization_id=1,
        project_id=1,
        mode="live",
        model_patterns=("*a" * 59 + "*b",),
    )
    started = time.monotonic()

    assert not snapshot.allows_model("a" * 200)
    assert time.monotonic() - started < ENOUGH_SECONDS


@pytest.mark.parametrize("pattern", ["(a+)+$", "gpt-[a-z]*", "gpt-?", "a\0b", "a" * 500])
def test_f7_a_pattern_is_letters_and_stars_alone(acme, pattern):
    key = ApiKey(model_patterns=[pattern])

    with pytest.raises(ValidationError) as caught:
        key.clean_fields()
    assert "model_patterns" in caught.value.message_dict
