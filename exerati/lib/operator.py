"""The common form of operator commands: subcommands, and `--json` for scripts."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_date, parse_datetime

from exerati.lib import money

Row = Mapping[str, object]
Answer = Row | Sequence[Row]


class OperatorCommand(BaseCommand):
    """
    A command whose first argument names one of its methods.

    `actions` maps the word to a help line; `add_<word>_arguments(parser)` declares its options, and
    `<word>(**options)` does it and returns a row or rows of plain values, which `handle` prints.
    """

    actions: Mapping[str, str]

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare each action with its options and `--json`."""
        chosen = parser.add_subparsers(dest="action", required=True, metavar="|".join(self.actions))
        for word, text in self.actions.items():
            sub = chosen.add_parser(word, help=text, description=text)
            sub.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
            getattr(self, f"add_{word}_arguments", lambda parser: None)(sub)

    def handle(self, *args: Any, action: str, as_json: bool, **options: Any) -> None:
        """Do the action and print what it returns; a value that is not valid ends in one sentence."""
        do: Callable[..., Answer] = getattr(self, action)
        own = {name: value for name, value in options.items() if name not in self._common_options()}
        try:
            answer = do(**own)
        except ValidationError as error:
            raise CommandError(validation_text(error)) from error
        self.stdout.write(json.dumps(answer, indent=2) if as_json else text_of(answer))

    def _common_options(self) -> frozenset[str]:
        """Return the names of the options that every Django command has, on the command line or from Python."""
        parser = BaseCommand().create_parser("", "")
        return frozenset([*vars(parser.parse_args([])), *BaseCommand.base_stealth_options])


def text_of(answer: Answer) -> str:
    """Return rows for people: `name: value` lines for one row, a table for several."""
    if isinstance(answer, Mapping):
        return "\n".join(f"{name}: {_cell(value)}" for name, value in answer.items())
    if not answer:
        return "(none)"
    heads = list(answer[0])
    lines = [heads, *([_cell(row[head]) for head in heads] for row in answer)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else str(value)


def validation_text(error: ValidationError) -> str:
    """Return every message of the error, each with its field."""
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(
        f"{field}: {message}" for field, texts in error.message_dict.items() for message in texts
    )


def usd(text: str) -> int:
    """Read an amount in USD, zero or more, as nano-USD; for `type=` of an option."""
    try:
        nanousd = money.parse_usd(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if nanousd < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is below zero")
    return nanousd


def moment(text: str) -> datetime:
    """Read a date or a moment in ISO form, in UTC where it names no zone; for `type=` of an option."""
    try:
        day = parse_date(text)
        found = datetime(day.year, day.month, day.day, tzinfo=UTC) if day else parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2027-01-31")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def iso(at: datetime | None) -> str | None:
    """Return a moment for JSON."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else None
