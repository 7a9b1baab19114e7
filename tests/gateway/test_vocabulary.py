"""The vendored vocabularies count as OpenAI's do, offline, and a damaged file is refused."""

import gzip

import pytest

from gateway import vocabulary
from gateway.vocabulary import VocabularyDamaged


# Counts published in OpenAI's cookbook, "How to count tokens with tiktoken"
# (https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken).
@pytest.mark.parametrize(
    ("text", "cl100k", "o200k"),
    [
        ("hello world", 2, 2),
        ("antidisestablishmentarianism", 6, 6),
        ("2 + 2 = 4", 7, 7),
        ("お誕生日おめでとう", 9, 8),
        ("", 0, 0),
    ],
)
def test_known_texts_have_their_published_counts(text, cl100k, o200k):
    assert vocabulary.count_tokens(text, model="gpt-4") == cl100k
    assert vocabulary.count_tokens(text, model="gpt-4o") == o200k


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
@pytest.mark.parametrize("text", ["Grüße, 世界! 🙂\n\n\tx = 1_000", "<|endoftext|>", "a" * 2_000])
def test_encoding_and_decoding_give_the_text_back(name, text):
    encoding = vocabulary.encoding(name)

    assert encoding.decode(encoding.encode_ordinary(text)) == text


def test_special_tokens_have_their_published_numbers():
    def numbers(name):
        return vocabulary.encoding(name).encode(
            "<|endoftext|><|endofprompt|>", allowed_special="all"
        )

    assert numbers("o200k_base") == [199999, 200018]
    assert numbers("cl100k_base") == [100257, 100276]


def test_special_tokens_in_a_prompt_are_counted_as_plain_text():
    assert vocabulary.count_tokens("<|endoftext|>", model="gpt-4o") > 1


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4", "cl100k_base"),
        ("gpt-4-vision-preview", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("text-embedding-ada-002", "cl100k_base"),
        ("gpt-4o", "o200k_base"),
        ("gpt-4.1-mini", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("claude-3-opus", "o200k_base"),
    ],
)
def test_each_model_is_counted_with_its_own_vocabulary(model, name):
    assert vocabulary.encoding_for(model) == name


def test_an_encoding_is_built_once():
    assert vocabulary.encoding("cl100k_base") is vocabulary.encoding("cl100k_base")


def test_a_damaged_vocabulary_is_refused(tmp_path):
    damaged = tmp_path / "cl100k_base.tiktoken.gz"
    damaged.write_bytes(gzip.compress(b"IQ== 0\n"))

    with pytest.raises(VocabularyDamaged, match=r"cl100k_base\.tiktoken\.gz: sha256 is"):
        vocabulary.read_ranks(damaged, expected_sha256="0" * 64)
