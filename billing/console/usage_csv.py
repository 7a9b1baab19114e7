"""
The usage as CSV: any range in buckets of a minute, an hour or a day, read and sent piece by piece.

Amounts are exact, and no text begins like a formula.
"""

from collections.abc import Iterator, Sequence

from accounts.models import Organization
from billing.read_models import periods, reports
from billing.read_models.periods import Period, Step
from billing.read_models.reports import Filters, Group, Sums, Usage
from exerati.lib import money
from exerati.lib.csv_text import spreadsheet_text

HEAD = (
    "start",
    "end",
    "group",
    "id",
    "requests",
    "errors",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "reasoning_tokens",
    "audio_tokens",
    "image_tokens",
    "charge_usd",
    "price_usd",
)


def rows(
    organization: Organization, *, period: Period, step: Step, group: Group, filters: Filters
) -> Iterator[Sequence[str]]:
    """
    Yield the head, then a row for each bucket and group with calls; one query for each piece of the range.

    Times carry the offset of the range's zone.
    """
    yield HEAD
    for piece in periods.pieces(period, step=step):
        yield from rows_of(reports.usage(organization, period=piece, group=group, filters=filters))


def rows_of(found: Usage) -> Iterator[Sequence[str]]:
    """Yield a row for each bucket and group with calls."""
    zone = found.period.zone
    for i, slot in enumerate(found.period.slots):
        bounds = [moment.astimezone(zone).isoformat() for moment in (slot.start, slot.end)]
        for row in found.rows:
            sums = row.buckets[i]
            if sums.requests:
                yield [*bounds, *map(spreadsheet_text, (row.name, row.id)), *_numbers(sums)]


def _numbers(sums: Sums) -> list[str]:
    counts = (
        sums.requests,
        sums.errors,
        sums.input_tokens,
        sums.output_tokens,
        sums.cache_read_tokens,
        sums.reasoning_tokens,
        sums.audio_tokens,
        sums.image_tokens,
    )
    amounts = (sums.charge_nanousd, sums.price_nanousd)
    return [*map(str, counts), *map(money.usd_text, amounts)]
