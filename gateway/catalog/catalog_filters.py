"""Which models of the catalog a visitor wants to see, and in which order."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.catalog.catalog_pages import CatalogRow

Sort = Literal["name", "newest", "input", "output", "context", "call"]
Status = Literal["", "new", "available", "deprecated", "retired"]

SORT_TITLES: Mapping[Sort, str] = {
    "name": "Name",
    "newest": "Newest",
    "input": "Cheapest input",
    "output": "Cheapest output",
    "context": "Longest context",
    "call": "Cheapest call",
}
STATUS_TITLES: Mapping[Status, str] = {
    "": "Any status",
    "new": "New",
    "available": "Available",
    "deprecated": "Deprecated",
    "retired": "Retired",
}
CONTEXT_STEPS = (32_000, 128_000, 200_000, 1_000_000)
PRICE_STEPS_CENTS = (10, 50, 100, 300, 1_000)  # of a million input tokens
MICROUSD_PER_CENT = 10_000
# Capabilities: those that are features, and those that are modalities.
CAPABILITIES: Mapping[str, str] = {
    "tools": "Tools",
    "structured_output": "Structured output",
    "reasoning": "Reasoning",
    "vision": "Vision",
    "audio": "Audio",
    "open_weights": "Open weights",
}


@dataclass(frozen=True, slots=True)
class CatalogFilters:
    """Which models to list; empty means all."""

    search: str = ""
    kind: str = ""
    owner: str = ""
    modality: str = ""
    features: tuple[str, ...] = ()
    context: int = 0
    price_cents: int = 0
    status: Status = ""
    sort: Sort = "name"

    def matches(self, row: CatalogRow) -> bool:
        """Say whether the model passes every filter but the kind, which has its own counts."""
        words = self.search.lower().split()
        text = f"{row.name} {row.title} {row.owner} {row.owned_by}".lower()
        return (
            all(word in text for word in words)
            and self.owner in ("", row.owned_by)
            and (not self.modality or self.modality in row.input_modalities)
            and all(_has(row, name) for name in self.features)
            and (row.context_tokens or 0) >= self.context
            and self._affords(row)
            and self._allows(row)
        )

    def _affords(self, row: CatalogRow) -> bool:
        rate = row.rates.input_microusd_per_mtok
        return not self.price_cents or (
            rate is not None and rate <= self.price_cents * MICROUSD_PER_CENT
        )

    def _allows(self, row: CatalogRow) -> bool:
        is_deprecated = row.deprecated_on is not None and not row.is_retired
        return {
            "": True,
            "new": row.is_new,
            "available": not row.is_retired and not is_deprecated,
            "deprecated": is_deprecated,
            "retired": row.is_retired,
        }[self.status]


@dataclass(frozen=True, slots=True)
class Found:
    """The models that pass the filters in order, and how many of each kind pass all the others."""

    rows: tuple[CatalogRow, ...]
    kinds: tuple[tuple[str, int], ...]


def _has(row: CatalogRow, capability: str) -> bool:
    """Say whether a model has a capability; vision and audio are told by what it takes or gives."""
    modalities = {*row.input_modalities, *row.output_modalities}
    if capability == "vision":
        return "vision" in row.features or "image" in row.input_modalities
    return "audio" in modalities if capability == "audio" else capability in row.features


def select(listed: Sequence[CatalogRow], filters: CatalogFilters) -> Found:
    """Return the models that pass, in the wanted order."""
    passing = [row for row in listed if filters.matches(row)]
    counts: dict[str, int] = defaultdict(int)
    for row in passing:
        counts[row.kind] += 1
    chosen = [row for row in passing if filters.kind in ("", row.kind)]
    order = _ORDERS[filters.sort]
    chosen.sort(key=lambda row: (row.is_retired, order(row)))  # nobody can call what is retired
    return Found(tuple(chosen), tuple(sorted(counts.items(), key=lambda item: -item[1])))


def _dearness(rate: int | None) -> tuple[bool, int]:
    """Return a key that puts what is not priced by the token last."""
    return (rate is None, rate or 0)


_ORDERS: Mapping[Sort, Callable[[CatalogRow], Any]] = {
    "name": lambda row: row.name,
    "newest": lambda row: (-row.came_on.toordinal(), row.name),
    "input": lambda row: (*_dearness(row.rates.input_microusd_per_mtok), row.name),
    "output": lambda row: (*_dearness(row.rates.output_microusd_per_mtok), row.name),
    "context": lambda row: (-(row.context_tokens or 0), row.name),
    "call": lambda row: (*_dearness(row.call_nanousd), row.name),
}
