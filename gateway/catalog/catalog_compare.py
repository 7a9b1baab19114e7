"""Models side by side: which ones, and the facts in which they differ."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exerati.drawing import formats
from gateway.catalog.catalog_pages import FEATURE_TITLES, CatalogRow

MOST = 4


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the comparison: for each model its text, and whether it is the best number where that can be said."""

    title: str
    cells: tuple[tuple[str, bool], ...]
    is_number: bool = False


def choose(listed: Sequence[CatalogRow], names: Iterable[str]) -> list[CatalogRow]:
    """Return the named models in the order of their names' first mention, at most MOST."""
    by_name = {row.name: row for row in listed}
    wanted = dict.fromkeys(name for name in names if name in by_name)
    return [by_name[name] for name in wanted][:MOST]


def facts(rows: Sequence[CatalogRow]) -> list[Fact]:
    """Return the lines of the comparison, with the call that the rows were estimated with."""
    price = formats.price_text
    lines = (
        _words(rows, "Maker", lambda row: row.owner),
        _words(rows, "Takes", lambda row: ", ".join(row.input_modalities)),
        _words(rows, "Gives", lambda row: ", ".join(row.output_modalities)),
        _numbers(rows, "Your call", lambda row: row.call_nanousd, formats.cost_text, min),
        _numbers(rows, "Input / 1M", lambda row: row.rates.input_microusd_per_mtok, price, min),
        _numbers(
            rows, "Cached / 1M", lambda row: row.rates.cache_read_microusd_per_mtok, price, min
        ),
        _numbers(rows, "Output / 1M", lambda row: row.rates.output_microusd_per_mtok, price, min),
        _numbers(rows, "Context", lambda row: row.context_tokens, formats.count_text, max),
        _numbers(
            rows, "Longest output", lambda row: row.max_output_tokens, formats.count_text, max
        ),
        *(
            _words(rows, title, lambda row, name=name: "Yes" if name in row.features else "No")  # type: ignore[misc]
            for name, title in FEATURE_TITLES.items()
        ),
        _words(
            rows, "Released", lambda row: f"{row.released_on:%-d %b %Y}" if row.released_on else ""
        ),
        _words(rows, "Providers", lambda row: ", ".join(route.provider for route in row.routes)),
    )
    return [line for line in lines if any(text for text, _ in line.cells)]


def _words(rows: Sequence[CatalogRow], title: str, read: Callable[[CatalogRow], str]) -> Fact:
    return Fact(title, tuple((read(row), False) for row in rows))


def _numbers(
    rows: Sequence[CatalogRow],
    title: str,
    read: Callable[[CatalogRow], int | None],
    text: Callable[[int], str],
    best_of: Callable[[Iterable[int]], int],
) -> Fact:
    """Return a line of numbers; where all are alike, none is the best."""
    numbers = [read(row) for row in rows]
    known = [number for number in numbers if number is not None]
    best = best_of(known) if len(set(known)) > 1 else None
    cells = (
        ("", False) if number is None else (text(number), number == best) for number in numbers
    )
    return Fact(title, tuple(cells), is_number=True)
