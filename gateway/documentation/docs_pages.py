"""
The documentation: Markdown of `docs/site/` to HTML with anchors and switchable snippets, and as Markdown again.

Owns the list of pages, the `{{placeholders}}` and the rendering. Raw HTML in the sources is shown as text, so
the result is safe. A fence's info string is its language and, after it, its label; neighbours labelled curl,
Python and JavaScript become one block with a switch.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin

from exerati.drawing import code_blocks

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "site"
HOME: Final = "introduction"  # the page at /docs/
SECTIONS: Final[Mapping[str, Sequence[str]]] = {
    "Start": (HOME, "quickstart", "authentication", "test-keys", "clients", "migration"),
    "Guides": ("streaming", "tools", "structured-output", "vision", "routing", "retries"),
    "API": (
        "chat-completions",
        "responses",
        "messages",
        "models",
        "embeddings",
        "images",
        "audio",
        "moderations",
        "rerank",
        "completions",
        "account",
        "usage-api",
    ),
    "Money": ("budgets", "billing", "exactness"),
    "Organization": ("team",),
    "Reference": ("api-reference", "errors", "limits", "privacy", "changelog"),
}
SLUGS: Final = tuple(slug for slugs in SECTIONS.values() for slug in slugs)
LANGUAGES: Final = frozenset({"curl", "Python", "JavaScript"})
LANGUAGE_TITLES: Final = {
    "bash": "Shell",
    "json": "JSON",
    "http": "HTTP",
    "text": "Text",
    "python": "Example",
}
LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]*\)")
PLACEHOLDER: Final = re.compile(r"\{\{(\w+)\}\}")


class PageMissing(Exception):
    """There is no page of that name."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A second-level heading: its anchor and its words."""

    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """One rendered page; `markdown` is its source with every placeholder filled in."""

    slug: str
    title: str
    lead: SafeString
    markdown: str
    html: SafeString
    headings: tuple[Heading, ...]


def page(slug: str, *, values: Mapping[str, str]) -> Page:
    """Return a page with the placeholders filled from `values`; raises PageMissing, and KeyError for an unknown one."""
    if slug not in SLUGS:
        raise PageMissing(slug)
    path = FOLDER / f"{slug}.md"
    return _rendered(slug, path.stat().st_mtime_ns, tuple(sorted(values.items())))


def snippets_with(
    example: str, *, slug: str, instead: str, values: Mapping[str, str]
) -> SafeString:
    """Return a page's first samples that name the model `example`, behind a switch, with another model in its place."""
    tokens = _parser().parse(page(slug, values=values).markdown)
    runs = ([*run] for kind, run in groupby(tokens, key=_kind) if kind == "language")
    fences = next(
        run
        for run in runs
        if any(f'"{example}"' in one.content or f"={example}" in one.content for one in run)
    )
    for fence in fences:
        fence.content = fence.content.replace(example, instead)
    return code_blocks.switch("model-call", [(_label(fence), _figure(fence)) for fence in fences])


def titles() -> dict[str, str]:
    """Return the title of every page by slug, in order."""
    return {slug: _title(FOLDER / f"{slug}.md") for slug in SLUGS}


def leads() -> dict[str, str]:
    """Return the first paragraph of every page by slug, in order, without its links."""
    texts = {slug: (FOLDER / f"{slug}.md").read_text(encoding="utf-8") for slug in SLUGS}
    return {slug: LINK.sub(r"\1", _split(text)[1]) for slug, text in texts.items()}


def neighbours(slug: str) -> tuple[str, str]:
    """Return the slugs before and after, "" at the ends."""
    at = SLUGS.index(slug)
    return (SLUGS[at - 1] if at else "", SLUGS[at + 1] if at + 1 < len(SLUGS) else "")


@lru_cache(maxsize=64)
def _rendered(slug: str, changed_ns: int, values: tuple[tuple[str, str], ...]) -> Page:
    """Render a page once for each state of its file and each set of values."""
    known = dict(values)
    source = (FOLDER / f"{slug}.md").read_text(encoding="utf-8")
    markdown = PLACEHOLDER.sub(lambda match: known[match[1]], source)
    title, lead, body = _split(markdown)
    tokens = _parser().parse(body)
    _name_rows_and_cells(tokens)
    return Page(
        slug=slug,
        title=title,
        lead=mark_safe(_parser().renderInline(lead)),  # noqa: S308  as below
        markdown=markdown,
        html=mark_safe("".join(_html(tokens, slug=slug))),  # noqa: S308  raw HTML is off, code is escaped
        headings=tuple(_headings(tokens)),
    )


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _split(markdown: str) -> tuple[str, str, str]:
    """Return title, lead and body of a source: the first line, the first paragraph, the rest."""
    title, _, rest = markdown.partition("\n\n")
    lead, _, body = rest.partition("\n\n")
    return title.removeprefix("# "), lead, body


def _parser() -> MarkdownIt:
    """Return a parser without raw HTML, with tables and anchored headings."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    return parser.use(anchors_plugin, min_level=2, max_level=3, slug_func=anchor)


def anchor(text: str) -> str:
    """Return the anchor of a heading."""
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-")


def _name_rows_and_cells(tokens: Sequence[Token]) -> None:
    """
    Make each table row addressable by the code in its first cell, as in `errors#model_not_found`, and give each
    cell the head of its column, which a narrow screen shows beside it. An id is given once: to the first of its rows.
    """
    given = {str(token.attrGet("id")) for token in tokens if token.type == "heading_open"}
    heads: list[str] = []
    column = 0
    for cell, inline in pairwise(tokens):
        if cell.type == "table_open":
            heads = []
        elif cell.type == "th_open":
            heads.append(inline.content)
        elif cell.type == "tr_open":
            row, column = cell, 0
        elif cell.type == "td_open":
            cell.attrSet("data-label", heads[column])
            words = inline.children or []
            if column == 0 and [word.type for word in words] == ["code_inline"]:
                if words[0].content not in given:
                    row.attrSet("id", words[0].content)
                given.add(words[0].content)
            column += 1


def _headings(tokens: Sequence[Token]) -> Iterator[Heading]:
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            words = "".join(word.content for word in inline.children or [])
            yield Heading(str(opening.attrGet("id")), words)


def _html(tokens: Sequence[Token], *, slug: str) -> Iterator[str]:
    """Yield the HTML of runs of tokens: snippets that belong together, single fences, and all the rest."""
    parser = _parser()
    for number, (kind, run) in enumerate(groupby(tokens, key=_kind)):
        fences = list(run)
        if kind == "language" and len(fences) > 1:
            blocks = [(_label(fence), _figure(fence)) for fence in fences]
            yield code_blocks.switch(f"{slug}-{number}", blocks)
        elif kind in ("language", "code"):
            yield from map(_figure, fences)
        else:
            yield _with_scrolling_tables(parser.renderer.render(fences, parser.options, {}))


def _kind(token: Token) -> str:
    if token.type != "fence":
        return "text"
    return "language" if _label(token) in LANGUAGES else "code"


def _label(fence: Token) -> str:
    language, _, label = fence.info.partition(" ")
    return label.strip() or LANGUAGE_TITLES.get(language, language)


def _figure(fence: Token) -> SafeString:
    language = fence.info.partition(" ")[0]
    return code_blocks.figure(fence.content.strip("\n"), language=language, label=_label(fence))


def _with_scrolling_tables(html: str) -> str:
    """Put each table into a box of its own, which alone scrolls where a screen is narrow."""
    opened = html.replace("<table>", '<div class="table-box"><table class="table-doc">')
    return opened.replace("</table>", "</table></div>")
