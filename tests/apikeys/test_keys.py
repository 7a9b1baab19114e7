"""The form of a key, whatever the randomness."""

import re
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikeys import keys

modes = st.sampled_from(["live", "test"])


@given(modes)
def test_a_made_key_parses_and_matches_the_published_pattern(mode):
    new = keys.make(mode)

    assert keys.parse(new.secret).mode == mode
    assert re.fullmatch(keys.KEY_REGEX, new.secret)
    assert len(new.secret) == len(f"sk-exr-{mode}-") + 43 + 6


@given(modes)
def test_what_is_stored_of_a_key_shows_four_characters_at_each_end(mode):
    new = keys.make(mode)

    assert new.prefix == new.secret[: len(f"sk-exr-{mode}-") + 4]
    assert new.last4 == new.secret[-4:]
    assert new.secret not in repr(new)
    assert new.secret not in repr(keys.parse(new.secret))


@given(st.data())
def test_one_wrong_character_is_found_by_the_checksum(data):
    secret = keys.make("live").secret
    place = data.draw(st.integers(len("sk-exr-live-"), len(secret) - 1))
    other = data.draw(st.sampled_from(keys.ALPHABET).filter(lambda char: char != secret[place]))

    with pytest.raises(keys.Malformed) as caught:
        keys.parse(secret[:place] + other + secret[place + 1 :])

    assert secret[15:-6] not in str(caught.value)


@given(st.text(max_size=80))
def test_any_other_text_is_malformed_and_never_a_crash(text):
    with pytest.raises(keys.Malformed):
        keys.parse(text)


@pytest.mark.parametrize("wrong", [" {}", "{}\n", "{}a", "Bearer {}", "sk-{}"])
def test_a_key_with_something_around_it_is_malformed(wrong):
    with pytest.raises(keys.Malformed):
        keys.parse(wrong.format(keys.make("live").secret))


def test_a_live_key_is_no_test_key():
    secret = keys.make("live").secret

    with pytest.raises(keys.Malformed):
        keys.parse(secret.replace("-live-", "-test-"))


@pytest.mark.parametrize(
    "published", ["sk-exr-live-" + "0" * 43 + "2lc6vm", "sk-exr-test-" + "z" * 43 + "4LGd9T"]
)
def test_the_checksum_is_the_one_that_scanners_know(published):
    assert keys.parse(published).secret == published


def test_the_digest_is_hmac_sha_256_under_the_pepper():
    # openssl dgst -sha256 -hmac test-pepper
    expected = "d3783606e5b2d5d5485d9c0ec86d755db82b437bcb2ff38befd3f1d4d07d2453"

    assert keys.digest("x", pepper=b"test-pepper").hex() == expected
    assert keys.digest("x", pepper=b"another pepper").hex() != expected


def test_refusal_says_whether_the_form_or_the_checksum_is_wrong():
    secret = keys.make("live").secret
    wrong = secret[:-1] + ("a" if secret[-1] != "a" else "b")

    with pytest.raises(keys.Malformed, match=r"^not the form of a key$"):
        keys.parse(secret + "x")
    with pytest.raises(keys.Malformed, match=r"^wrong checksum$"):
        keys.parse(wrong)


def test_keys_cannot_be_changed_afterwards():
    new = keys.make("live")
    parsed = keys.parse(new.secret)

    for key in (new, parsed):
        with pytest.raises(FrozenInstanceError):
            key.secret = "another"  # type: ignore[misc]  # which is what is tested
        assert not hasattr(key, "__dict__")  # nor hold more than it should
