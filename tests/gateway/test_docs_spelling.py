"""
Every word of the documentation is in `words.txt`: the words of this project that Debian's dictionaries know (wamerican
and wbritish), and a few names and technical words that were looked at one by one.

A new word is added there by whoever writes it, after a look at a dictionary: so a slip shows up as a new word.
"""

import re
from pathlib import Path

import pytest

from gateway.documentation import docs_pages

KNOWN = frozenset((Path(__file__).parent / "words.txt").read_text().split())
NOT_PROSE = re.compile(
    r"^```.*?^```|`[^`\n]*`|\]\([^)]*\)|https?://\S+|\{\{\w+\}\}", re.MULTILINE | re.DOTALL
)
WORD = re.compile(r"[A-Za-z]+(?:['\u2019][a-z]+)?")


def unknown(markdown):
    """Return the words that are not known; a known word may have an s, and a letter alone is none."""
    words = words_of(markdown)
    return {word for word in words - KNOWN if len(word) > 1 and word.removesuffix("s") not in KNOWN}


def words_of(markdown):
    return {
        word.replace("\u2019", "'").lower() for word in WORD.findall(NOT_PROSE.sub(" ", markdown))
    }


@pytest.mark.parametrize("path", sorted(docs_pages.FOLDER.glob("*.md")), ids=lambda path: path.stem)
def test_every_word_is_known(path):
    assert sorted(unknown(path.read_text())) == []


def test_a_slip_would_be_found():
    assert unknown("The [recieved](received) `xyzzy` words") == {"recieved"}
