"""
One checked JSON object of the catalog files.

Owns the rule that nothing in a hand-edited file passes unseen: each field is taken once with its
type, what is left over is an error, and each error names file, row and field. Pure.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final, TypeVar, cast

SLUG: Final = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")

Choice = TypeVar("Choice", bound=str)
Item = TypeVar("Item")
Json = object  # what json.loads gives before it is checked


class CatalogInvalid(Exception):
    """A catalog file breaks a rule; says where, so that a hand edit is quickly put right."""

    def __init__(self, *, file: str, row: str, field: str, problem: str) -> None:
        super().__init__(f"{file}: {row}: {field}: {problem}")
        self.file = file
        self.row = row
        self.field = field
        self.problem = problem


class Row:
    """One JSON object being read: each field is taken once, what is left over is an error."""

    def __init__(self, values: Json, *, file: str, row: str, prefix: str = "") -> None:
        self.file = file
        self.row = row
        self.prefix = prefix
        if not isinstance(values, dict):
            raise self.invalid("", f"must be an object, not {values!r}")
        self.values: dict[str, Json] = dict(values)

    def invalid(self, field: str, problem: str) -> CatalogInvalid:
        name = f"{self.prefix}{field}".rstrip(".") or "(row)"
        return CatalogInvalid(file=self.file, row=self.row, field=name, problem=problem)

    def take(self, field: str) -> Json:
        if field not in self.values:
            raise self.invalid(field, "is missing")
        return self.values.pop(field)

    def end(self) -> None:
        if self.values:
            raise self.invalid(min(self.values), "is not a known field")

    def nested(self, values: Json, *, field: str) -> "Row":
        return Row(values, file=self.file, row=self.row, prefix=f"{self.prefix}{field}.")

    def text(self, field: str) -> str:
        value = self.take(field)
        if not isinstance(value, str) or not value.strip():
            raise self.invalid(field, f"must be text, not {value!r}")
        return value

    def slug(self, field: str) -> str:
        value = self.text(field)
        if not SLUG.fullmatch(value):
            raise self.invalid(field, f"must match {SLUG.pattern}, not {value!r}")
        return value

    def flag(self, field: str) -> bool:
        value = self.take(field)
        if not isinstance(value, bool):
            raise self.invalid(field, f"must be true or false, not {value!r}")
        return value

    def positive(self, field: str) -> int:
        value = self.take(field)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise self.invalid(field, f"must be a positive whole number, not {value!r}")
        return value

    def day(self, field: str) -> date:
        value = self.text(field)
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise self.invalid(field, f"must be a date, not {value!r}") from error

    def optional(self, field: str, read: Callable[[str], Item]) -> Item | None:
        """Return `read(field)`, or None where the field says null."""
        if field in self.values and self.values[field] is None:
            del self.values[field]
            return None
        return read(field)

    def choice(self, field: str, choices: Sequence[Choice]) -> Choice:
        value = self.text(field)
        if value not in choices:
            raise self.invalid(field, f"must be one of {', '.join(choices)}, not {value!r}")
        return cast(Choice, value)

    def items(self, field: str) -> list[Json]:
        value = self.take(field)
        if not isinstance(value, list):
            raise self.invalid(field, f"must be a list, not {value!r}")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        values = self.items(field)
        if not all(isinstance(value, str) and value for value in values):
            raise self.invalid(field, "must hold text only")
        if len(set(map(str, values))) != len(values):
            raise self.invalid(field, "names something twice")
        return tuple(map(str, values))

    def choices(self, field: str, choices: Sequence[Choice]) -> tuple[Choice, ...]:
        values = self.texts(field)
        for value in values:
            if value not in choices:
                raise self.invalid(field, f"{value!r} is not one of {', '.join(choices)}")
        return cast(tuple[Choice, ...], values)
