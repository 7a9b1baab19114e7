"""The changelog as a page of the documentation and as a feed, from the project's CHANGELOG.md."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATH: Final = Path(__file__).resolve().parents[2] / "CHANGELOG.md"
# Links of the repository become those of the site; what is not a page of the site loses its link.
_PAGE: Final = re.compile(r"\]\(docs/site/([\w-]+)\.md(#[\w-]+)?\)")
_ELSEWHERE: Final = re.compile(r"\[([^\]]+)\]\((?![/#]|https?:|[\w-]+(?:#[\w-]+)?\))[^)]*\)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: the version it came with, its words as Markdown, and a name that stays."""

    version: str
    words: str

    @property
    def ident(self) -> str:
        """Return a name that changes only with the words."""
        return hashlib.sha256(self.words.encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """Return the beginning of the words, as plain text."""
        text = re.sub(r"\[([^\]]+)\]\([^)]*\)|[`*]", r"\1", self.words)
        first = re.split(r"(?<=[.:;])\s", text, maxsplit=1)[0]
        return first if len(first) <= 100 else f"{first[:97].rsplit(' ', 1)[0]}…"


def entries() -> Iterator[Entry]:
    """Yield every change, newest first."""
    version = ""
    for block in re.split(r"\n(?=#{2,3} |- )", PATH.read_text(encoding="utf-8")):
        if block.startswith("## "):
            version = block.splitlines()[0].removeprefix("## ").strip()
            block = block.partition("\n\n")[2]
        if block.startswith("- "):
            yield Entry(version, _for_the_site(" ".join(block.removeprefix("- ").split())))


def markdown() -> str:
    """Return all changes below a heading for each version."""
    lines: list[str] = []
    version = ""
    for entry in entries():
        if entry.version != version:
            version = entry.version
            lines += ["", f"## {version}", ""]
        lines.append(f"- {entry.words}")
    return "\n".join(lines).strip()


def _for_the_site(words: str) -> str:
    return _ELSEWHERE.sub(r"\1", _PAGE.sub(r"](\1\2)", words))
