"""
Takes in what providers say they charge us: files of costs by day and model, each once, kept with its hash.

Three forms are known by their heads: OpenAI's cost export (`start_time_iso`, `amount_value`, `line_item`), Anthropic's
(`usage_date_utc`, `model`, `cost_usd`), both as exported in 2026-11, and a plain one: `day`, `model`, `cost_usd`.
"""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from django.db import transaction

from accounts.models import User
from billing.models import ProviderCostImport, ProviderCostLine
from exerati.lib.queue import enqueue

MAX_BYTES = 32 * 1024 * 1024
NANO = 9
MOST_USD = Decimal(10_000_000)  # of one line; more is another unit
_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")


class CannotRead(Exception):
    """The file is none of the forms that are known, or one of its lines says nothing."""


class TakenBefore(Exception):
    """A file with the same content was taken in before."""

    def __init__(self, earlier: ProviderCostImport) -> None:
        super().__init__(str(earlier))
        self.earlier = earlier


@dataclass(frozen=True, slots=True)
class Form:
    """Which columns of a form hold day, model and cost; `currency` must then be USD."""

    name: str
    day: str
    model: str
    cost: str
    currency: str = ""


FORMS = (
    Form("openai", "start_time_iso", "line_item", "amount_value", "amount_currency"),
    Form("anthropic", "usage_date_utc", "model", "cost_usd"),
    Form("generic", "day", "model", "cost_usd"),
)


def model_key(name: str) -> str:
    """
    Return what two names of one model have in common: `Claude Haiku 4.5` and `claude-haiku-4-5-20251001`.

    A provider's export may name the model for people, and with or without the date of its version; of OpenAI's line
    items (`gpt-4o-2024-08-06, input`) the model is what stands before the comma.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.partition(",")[0].strip().lower()).strip("-")
    return _DATED.sub("", plain)


@transaction.atomic
def take_in(
    content: bytes, *, provider: str, file_name: str, actor: User | None
) -> ProviderCostImport:
    """Store a file's costs by day and model, and have them compared. Raises CannotRead and TakenBefore."""
    if len(content) > MAX_BYTES:
        raise CannotRead(f"The file is larger than {MAX_BYTES // 2**20} MiB.")
    form, sums = _read(content)
    made, is_new = ProviderCostImport.objects.get_or_create(
        sha256=hashlib.sha256(provider.encode() + b"\0" + content).hexdigest(),
        defaults={"file_name": file_name[:200], "form": form.name, "actor": actor},
    )
    if not is_new:
        raise TakenBefore(made)
    ProviderCostLine.objects.bulk_create(
        ProviderCostLine(source=made, provider=provider, model=model, day=day, cost_nanousd=cost)
        for (model, day), cost in sorted(sums.items())
    )
    made.lines_read = len(sums)
    made.save(update_fields=["lines_read"])
    enqueue("billing.compare_costs")
    return made


def _read(content: bytes) -> tuple[Form, Counter[tuple[str, date]]]:
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        head = set(rows.fieldnames or ())
        form = next((form for form in FORMS if {form.day, form.model, form.cost} <= head), None)
        if form is None:
            known = "; ".join(f"{form.day}, {form.model}, {form.cost}" for form in FORMS)
            raise CannotRead(f"The head of the file is none of: {known}.")
        sums: Counter[tuple[str, date]] = Counter()
        for model, day, cost in _lines(rows, form):
            sums[model, day] += cost
    except (UnicodeDecodeError, csv.Error) as error:
        raise CannotRead(f"The file is no CSV in UTF-8: {error}") from error
    if not sums:
        raise CannotRead("The file holds no costs.")
    return form, sums


def _lines(rows: "csv.DictReader[str]", form: Form) -> Iterator[tuple[str, date, int]]:
    for row in rows:
        if not row.get(form.cost):
            continue  # a day without costs
        try:
            yield _line(row, form)
        except (ValueError, InvalidOperation, KeyError) as error:
            raise CannotRead(f"Line {rows.line_num} says no day, model or cost: {error}") from error


def _line(row: Mapping[str, str | None], form: Form) -> tuple[str, date, int]:
    currency = (row.get(form.currency) or "usd").lower() if form.currency else "usd"
    if currency != "usd":
        raise ValueError(f"the currency is {currency}")
    cost = Decimal(row[form.cost] or "")
    if not cost.is_finite() or abs(cost) > MOST_USD:
        raise ValueError("the cost is no amount in USD")
    day = date.fromisoformat((row[form.day] or "")[:10])
    nano = cost.scaleb(NANO).to_integral_value(ROUND_HALF_EVEN)
    return (row[form.model] or "").strip()[:200], day, int(nano)
