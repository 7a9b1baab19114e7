"""
Token vocabularies: text -> tokens, offline.

Owns the two vendored vocabularies and the choice between them. Used to count streams whose
provider sent no usage and to quote a price; the bounds of a reservation come from bytes instead.
Nothing here opens a connection.
"""

import base64
import gzip
import hashlib
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

import tiktoken

EncodingName = Literal["o200k_base", "cl100k_base"]

FOLDER: Final = Path(__file__).parent / "vocabularies"

# Splitting patterns, special tokens and hashes are OpenAI's, as tiktoken 0.14.0 publishes them in
# tiktoken_ext/openai_public.py; with another pattern the counts would differ from the provider's.
_O200K_SUFFIX: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K_PATTERN: Final = "|".join(
    [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        + _O200K_SUFFIX,
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        + _O200K_SUFFIX,
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
_CL100K_PATTERN: Final = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """What makes an encoding, but for the ranks in the file."""

    pattern: str
    special_tokens: dict[str, int]
    sha256: str  # of the uncompressed file


_VOCABULARIES: Final[dict[EncodingName, _Vocabulary]] = {
    "o200k_base": _Vocabulary(
        pattern=_O200K_PATTERN,
        special_tokens={"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
        sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": _Vocabulary(
        pattern=_CL100K_PATTERN,
        special_tokens={
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
        sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}

# GPT-4, GPT-3.5 and OpenAI's embedding models (tiktoken 0.14.0, model.py). "gpt-4o", "gpt-4.1" and
# "gpt-4.5" start the same way but use o200k_base.
_CL100K_NAMES: Final = frozenset({"gpt-4", "gpt-3.5", "davinci-002", "babbage-002"})
_CL100K_PREFIXES: Final = ("gpt-4-", "gpt-3.5-", "text-embedding-")


class VocabularyDamaged(Exception):
    """A vendored vocabulary is not the file it should be."""

    def __init__(self, *, path: Path, expected_sha256: str, found_sha256: str) -> None:
        super().__init__(f"{path.name}: sha256 is {found_sha256}, expected {expected_sha256}")
        self.path = path


def encoding_for(model: str) -> EncodingName:
    """
    Return the name of the vocabulary that counts `model` best.

    Exact for OpenAI's own models; for every other provider o200k_base is the estimate.
    """
    if model in _CL100K_NAMES or model.startswith(_CL100K_PREFIXES):
        return "cl100k_base"
    return "o200k_base"


@cache
def encoding(name: EncodingName) -> tiktoken.Encoding:
    """
    Return the encoding, built on first use and kept (about 0.5 s and 75 MB for o200k_base).

    Raises VocabularyDamaged if the file's hash is not the expected one.
    """
    vocabulary = _VOCABULARIES[name]
    built = tiktoken.Encoding(
        name,
        pat_str=vocabulary.pattern,
        mergeable_ranks=read_ranks(
            FOLDER / f"{name}.tiktoken.gz", expected_sha256=vocabulary.sha256
        ),
        special_tokens=vocabulary.special_tokens,
    )
    # tiktoken keeps its input only for pickling; the table it counts with is its own copy. Saves about 25 MB.
    built._mergeable_ranks = {}
    return built


def count_tokens(text: str, *, model: str) -> int:
    """Return how many tokens `text` is for `model`; special tokens in it count as plain text."""
    return len(encoding(encoding_for(model)).encode_ordinary(text))


def bytes_bound(data: bytes) -> int:
    """
    Return the most tokens that UTF-8 text may be, for any vocabulary: its bytes.

    Or those after NFKC where more: SentencePiece may normalise, and U+FDFA becomes 18 letters.
    """
    if data.isascii():
        return len(data)
    return max(len(data), len(unicodedata.normalize("NFKC", data.decode()).encode()))


def read_ranks(path: Path, *, expected_sha256: str) -> dict[bytes, int]:
    """Return token bytes -> rank from a gzip-compressed file of `base64 rank` lines."""
    content = gzip.decompress(path.read_bytes())
    found = hashlib.sha256(content).hexdigest()
    if found != expected_sha256:
        raise VocabularyDamaged(path=path, expected_sha256=expected_sha256, found_sha256=found)
    pairs = (line.split() for line in content.splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in pairs}
