"""CSV for spreadsheets: texts that no program takes for a formula, and lines as they are sent; pure."""

import csv
from collections.abc import Iterable, Iterator, Sequence

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


class _Line:
    """The file that a writer wants: it hands back what is written."""

    def write(self, text: str) -> str:
        """Return the text."""
        return text


def spreadsheet_text(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: a sign in front gets an apostrophe before it."""
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


def lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield each row as a line of CSV."""
    writer = csv.writer(_Line())
    for row in rows:
        yield writer.writerow(row)
