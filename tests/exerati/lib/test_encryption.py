"""Secrets at rest: opened only with the same key, for the same purpose, unaltered."""

import pytest

from exerati.lib.encryption import CannotDecrypt, decrypt, encrypt

CONTEXT = "provider:openai"


def test_secret_opens_again():
    assert decrypt(encrypt("sk-größe-😀", context=CONTEXT), context=CONTEXT) == "sk-größe-😀"
    assert decrypt(memoryview(encrypt("", context=CONTEXT)), context=CONTEXT) == ""


def test_sealing_twice_gives_two_texts_and_neither_shows_the_secret():
    sealed = [encrypt("sk-secret", context=CONTEXT) for _ in range(2)]

    assert sealed[0] != sealed[1]
    assert all(b"secret" not in text for text in sealed)


def test_secret_of_another_purpose_does_not_open():
    with pytest.raises(CannotDecrypt):
        decrypt(encrypt("s", context=CONTEXT), context="provider:anthropic")


def test_secret_under_another_key_does_not_open(settings):
    sealed = encrypt("s", context=CONTEXT)
    settings.FIELD_KEY = b"another"

    with pytest.raises(CannotDecrypt):
        decrypt(sealed, context=CONTEXT)


def test_any_altered_or_missing_byte_is_noticed():
    sealed = encrypt("secret", context=CONTEXT)

    for place in range(len(sealed)):
        altered = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        for text in (altered, sealed[:place]):
            with pytest.raises(CannotDecrypt):
                decrypt(text, context=CONTEXT)
