"""
Wrong versions of the SQL functions of admission and settlement, each with one rule of the algorithm left out.

A mutant is a replacement in a file of billing/sql. One whose text is not found any more fails its test: it has to
follow the functions.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

FOLDER = Path(__file__).resolve().parents[2] / "billing" / "sql"


@dataclass(frozen=True, slots=True)
class Mutant:
    """Replacements (old, new) in one file of SQL functions."""

    name: str
    file: str
    changes: tuple[tuple[str, str], ...]

    @property
    def source(self) -> str:
        """The file with the replacements made; raises LookupError where there is nothing to replace."""
        text = original(self.file)
        for old, new in self.changes:
            if old not in text:
                raise LookupError(f"{self.name}: {self.file}.sql has no {old!r}")
            text = text.replace(old, new)
        return text


def original(file: str) -> str:
    """Return a file of SQL functions as it is."""
    return (FOLDER / f"{file}.sql").read_text()


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """Have the mutant in the place of the functions; they are put back at the end unless all is rolled back."""
    _run(mutant.source)
    try:
        yield
    finally:
        if not connection.needs_rollback:
            _run(original(mutant.file))


def _run(statements: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statements, None)


def _mutant(name: str, file: str, *changes: tuple[str, str]) -> Mutant:
    return Mutant(name, file, changes)


SEQUENTIAL = (
    _mutant(
        "no dedupe: a call is settled again",
        "settle",
        ("AND r.settled_at IS NULL\n          AND (NOT swept", "AND (NOT swept"),
    ),
    _mutant(
        "no dedupe: a call is admitted again",
        "reserve",
        ("WHEN call.state = 'open' THEN admitted\n", ""),
        ("WHEN call.state IS NOT NULL THEN '{\"verdict\": \"settled\"}'\n", ""),
    ),
    _mutant(
        "the whole hold is refunded",
        "settle",
        ("posted_nanousd = b.posted_nanousd + s.posted", "posted_nanousd = b.posted_nanousd"),
    ),
    _mutant(
        "one scope only",
        "reserve",
        ("IN ARRAY slots LOOP\n                IF", "IN ARRAY slots[1:1] LOOP\n                IF"),
    ),
    _mutant(
        "the reservation is shrunk to the headroom",
        "reserve",
        (
            "IF counters.caps[tightest] - used[tightest] < call.upper_nanousd THEN",
            "IF counters.caps[tightest] - used[tightest] <= 0 AND call.upper_nanousd > 0 THEN",
        ),
    ),
    _mutant(
        "a charge goes beyond the bound",
        "settle",
        (
            "least(greatest(call.charge_nanousd, 0), r.upper_nanousd)",
            "greatest(call.charge_nanousd, 0)",
        ),
    ),
    _mutant(
        "a negative charge pays out",
        "settle",
        (
            "least(greatest(call.charge_nanousd, 0), r.upper_nanousd)",
            "least(call.charge_nanousd, r.upper_nanousd)",
        ),
    ),
    _mutant(
        "the sweep takes calls whose lease still runs",
        "settle",
        ("AND (NOT swept OR r.lease_until < moment)", ""),
        ("state = 'open' AND lease_until < clock_timestamp()", "state = 'open'"),
    ),
    _mutant(
        "the sweep charges what was never sent",
        "settle",
        ("CASE WHEN r.sent_at IS NULL THEN 0 ELSE r.progress_nanousd END", "r.progress_nanousd"),
    ),
    _mutant("weeks have six days", "periods", ("next := first + 7", "next := first + 6")),
    _mutant("a day ends a day late", "periods", ("next := today + 1", "next := today + 2")),
    _mutant(
        "months start a day late",
        "periods",
        ("today - (month_day - 1))::timestamp))::date + (month_day - 1)",
         "today - (month_day - 1))::timestamp))::date + month_day"),
    ),
    _mutant(
        "holds are not released",
        "settle",
        ("held_nanousd = b.held_nanousd - s.held, ", ""),
    ),
    _mutant(
        "a key's cap on a model is ignored",
        "reserve",
        ("model.scope = 'key_model' AND", "false AND"),
    ),
    _mutant(
        "models that may stand in are not held",
        "reserve",
        ("IF call.fallback_models <> '{}' THEN", "IF false THEN"),
    ),
    _mutant(
        "models that did not serve are charged, too",
        "settle",
        ("FILTER (WHERE counter.model IN ('', c.served))", ""),
    ),
    _mutant(
        "a cap set in mid-period forgets what was spent",
        "budgets",
        ("posted_nanousd = billing_posted(", "posted_nanousd = 0 * billing_posted("),
    ),
    _mutant(
        "a cap set in mid-period forgets what is open",
        "budgets",
        ("r.organization_id = organization AND r.state = 'open' AND r.mode = 'live'", "false"),
    ),
    _mutant(
        "a new period counts the old one again",
        "budgets",
        ("greatest(since, max(b.period_end)) INTO since", "least(since, max(b.period_end)) INTO since"),
    ),
    _mutant(
        "calls of one batch do not see each other",
        "reserve",
        ("- used[tightest] < call.upper_nanousd THEN", "- counters.used[tightest] < call.upper_nanousd THEN"),
    ),
    _mutant(
        "what is admitted is not held",
        "reserve",
        ("WHERE b.id = ANY (counters.ids) AND b.id = u.id AND u.after > u.before", "WHERE false"),
    ),
    _mutant(
        "what just fits is refused",
        "reserve",
        ("used[tightest] < call.upper_nanousd THEN", "used[tightest] <= call.upper_nanousd THEN"),
    ),
    _mutant(
        "a lease is renewed after the settlement",
        "settle",
        ("call.request_id AND r.settled_at IS NULL AND r.owner", "call.request_id AND r.owner"),
    ),
    _mutant(
        "small charges are not in the ledger",
        "settle",
        ("WHERE r.charge_nanousd > 0", "WHERE r.charge_nanousd > 1000"),
    ),
    _mutant(
        "some events are not announced",
        "settle",
        ("r.organization_id FROM closed r\n    )", "r.organization_id FROM closed r WHERE charge_nanousd > 0\n    )"),
    ),
    _mutant(
        "test keys pay",
        "reserve",
        ("AND c.mode = k.mode\n    WHERE", "\n    WHERE"),
        ("CASE call.mode WHEN 'live' THEN ids::text ELSE '{}' END", "call.ids::text"),
        ("CASE c.mode WHEN 'live' THEN c.upper_nanousd ELSE 0 END", "c.upper_nanousd"),
    ),
)  # fmt: skip

TRUED_UP = (
    _mutant(
        "another process may settle",
        "settle",
        ("AND (process IS NULL OR r.owner = process)", ""),
    ),
    _mutant(
        "a true-up goes beyond the caps",
        "true_up",
        ("event.charge_nanousd := least(wanted, (", "event.charge_nanousd := greatest(wanted, 0 * ("),
    ),
    _mutant(
        "a call is trued up again and again",
        "true_up",
        ("AND NOT EXISTS (SELECT FROM billing_trueup t WHERE t.request_id = r.request_id)", ""),
    ),
    _mutant(
        "a true-up is not in the ledger",
        "true_up",
        ("WHERE transferred <> 0", "WHERE false"),
    ),
    _mutant(
        "a bound is raised beyond a cap",
        "extend",
        ("s.room < wish.more_nanousd) THEN 'over'", "s.room < 0) THEN 'over'"),
    ),
    _mutant(
        "a step is taken twice",
        "extend",
        ("WHEN wish.step <= call.extensions THEN 'ok'\n", ""),
    ),
    _mutant(
        "a raised bound is held nowhere",
        "extend",
        ("held_nanousd = b.held_nanousd + wish.more_nanousd", "held_nanousd = b.held_nanousd"),
    ),
)  # fmt: skip

RACING = (
    _mutant("the wallet is not locked", "budgets", ("    ORDER BY id FOR UPDATE;", "    ORDER BY id;")),
)  # fmt: skip
