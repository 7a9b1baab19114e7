"""
Rates stored calls once more: the price of each must be its counts times the rates of the version that it names.

What was estimated or corrected was priced on other counts than those that are stored, so it is left out.
"""

from dataclasses import dataclass

from billing import price_book, price_formula
from billing.models import UsageEvent
from billing.read_models import request_log

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Rerating:
    """How many calls were rated again, how many gave another price, and a few of those."""

    checked: int
    differ: int
    examples: tuple[str, ...]


def rerate(newest: int) -> Rerating:
    """Rate the newest calls again that were charged by what their provider reported; reads, and changes nothing."""
    found = UsageEvent.objects.filter(basis=UsageEvent.Basis.REPORTED, usage_flag="")
    chosen = found.select_related("price_version").order_by("-occurred_at")[:newest]
    checked, wrong = 0, []
    for event in chosen.iterator(chunk_size=2_000):
        checked += 1
        if not _is_right(event):
            wrong.append(f"{request_log.public_id(event.request_id)}: {event.price_nanousd}")
    return Rerating(checked, len(wrong), tuple(wrong[:EXAMPLES]))


def _is_right(event: UsageEvent) -> bool:
    usage = request_log.usage(event)
    price = price_book.price_of(event.price_version)
    return price_formula.explain(usage, price=price, price_nanousd=event.price_nanousd) is not None
