"""Search over the documentation: sections ranked by where the words stand; everything is in memory."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.documentation import docs_pages
from gateway.documentation.docs_values import ERROR_WORDS

MOST: Final = 20
EXCERPT_CHARACTERS: Final = 180
_WORD: Final = re.compile(r"[\w-]+")
_HEADING: Final = re.compile(r"^(#{2,3}) (.+)$", re.MULTILINE)
_FENCE: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_MARKS: Final = re.compile(r"\[([^\]]+)\]\([^)]*\)|[`*>]|^\| ?--.*$|^#+ ", re.MULTILINE)
# How much a word counts for by where it stands.
TITLE, HEADING, TEXT, CODE = 12, 8, 1, 0.5


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a page, in lower case for comparing and as it is for showing."""

    slug: str
    anchor: str
    page_title: str
    heading: str
    text: str
    code: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A section that was found, with the words around the first match in three parts: before, match, after."""

    section: Section
    excerpt: tuple[str, str, str]
    score: float


def search(query: str, *, values: Mapping[str, str]) -> list[Hit]:
    """Return the sections that hold every word of the query, the most fitting first."""
    words = [word.lower() for word in _WORD.findall(query)][:8]
    if not words:
        return []
    found = (_hit(section, words) for section in _index(tuple(sorted(values.items()))))
    return sorted((hit for hit in found if hit), key=lambda hit: -hit.score)[:MOST]


@lru_cache(maxsize=4)
def _index(values: tuple[tuple[str, str], ...]) -> tuple[Section, ...]:
    sections = (
        section
        for slug in docs_pages.SLUGS
        for section in _sections(docs_pages.page(slug, values=dict(values)))
    )
    return (*sections, *_errors())


def _errors() -> Iterator[Section]:
    """Yield each error code as a section of its own, since people paste codes."""
    for code, (what, fix) in ERROR_WORDS.items():
        yield Section("errors", code, "Errors", code, f"{what} {fix}".replace("`", ""), "")


def _sections(page: docs_pages.Page) -> Iterator[Section]:
    headings = list(_HEADING.finditer(page.markdown))
    bounds = [*(match.start() for match in headings), len(page.markdown)]
    yield _section(page, "", "", page.markdown[: bounds[0]].partition("\n")[2])
    for match, end in zip(headings, bounds[1:], strict=True):
        heading = match[2].replace("`", "")
        yield _section(page, docs_pages.anchor(heading), heading, page.markdown[match.end() : end])


def _section(page: docs_pages.Page, anchor: str, heading: str, source: str) -> Section:
    code = " ".join(_FENCE.findall(source))
    text = _MARKS.sub(r"\1", _FENCE.sub(" ", source)).replace("|", " ")
    return Section(page.slug, anchor, page.title, heading, " ".join(text.split()), code)


def _hit(section: Section, words: Sequence[str]) -> Hit | None:
    """Return the section with its score, None where a word is missing."""
    places = (
        (section.page_title.lower(), TITLE if not section.anchor else TITLE / 4),
        (section.heading.lower(), HEADING),
        (section.text.lower(), TEXT),
        (section.code.lower(), CODE),
    )
    score = 0.0
    for word in words:
        of_word = sum(weight * min(3, text.count(word)) for text, weight in places)
        if not of_word:
            return None
        score += of_word
    return Hit(section, _excerpt(section.text, words), score)


def _excerpt(text: str, words: Sequence[str]) -> tuple[str, str, str]:
    low = text.lower()
    at, word = next(((low.find(word), word) for word in words if word in low), (0, ""))
    start = max(0, at - EXCERPT_CHARACTERS // 3)
    start = low.find(" ", start) + 1 if start else 0
    start = min(start, at)
    end = start + EXCERPT_CHARACTERS
    lead = "… " if start else ""
    tail = " …" if end < len(text) else ""
    return lead + text[start:at], text[at : at + len(word)], text[at + len(word) : end] + tail
