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
    """Replacements (old, new) in one file of SQL functions; `seed` is of a history that finds it, as a rule."""

    name: str
    file: str
    seed: int
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


def _mutant(name: str, file: str, seed: int, *changes: tuple[str, str]) -> Mutant:
    return Mutant(name, file, seed, changes)


SEQUENTIAL = (
    _mutant(
        "no dedupe: a call is settled again",
        "settle", 6,
        ("AND r.settled_at IS NULL\n          AND (NOT swept", "AND (NOT swept"),
    ),
    _mutant(
        "no dedupe: a call is admitted again",
        "reserve", 0,
        ("WHEN call.state = 'open' THEN admitted\n", ""),
        ("WHEN call.state IS NOT NULL THEN '{\"verdict\": \"settled\"}'\n", ""),
    ),
    _mutant(
        "the whole hold is refunded",
        "settle", 11,
        ("posted_nanousd = b.posted_nanousd + s.posted", "posted_nanousd = b.posted_nanousd"),
    ),
    _mutant(
        "one scope only",
        "reserve", 3,
        ("IN ARRAY slots LOOP\n                IF", "IN ARRAY slots[1:1] LOOP\n                IF"),
    ),
    _mutant(
        "the reservation is shrunk to the headroom",
        "reserve", 3,
        (
            "IF counters.caps[tightest] - used[tightest] < call.upper_nanousd THEN",
            "IF counters.caps[tightest] - used[tightest] <= 0 AND call.upper_nanousd > 0 THEN",
        ),
    ),
    _mutant(
        "a charge goes beyond the bound",
        "settle", 7,
        (
            "least(greatest(call.charge_nanousd, 0), r.upper_nanousd)",
            "greatest(call.charge_nanousd, 0)",
        ),
    ),
    _mutant(
        "a negative charge pays out",
        "settle", 60,
        (
            "least(greatest(call.charge_nanousd, 0), r.upper_nanousd)",
            "least(call.charge_nanousd, r.upper_nanousd)",
        ),
    ),
    _mutant(
        "the sweep takes calls whose lease still runs",
        "settle", 0,
        ("AND (NOT swept OR r.lease_until < moment)", ""),
        ("state = 'open' AND lease_until < clock_timestamp()", "state = 'open'"),
    ),
    _mutant(
        "the sweep charges what was never sent",
        "settle", 65,
        ("CASE WHEN r.sent_at IS NULL THEN 0 ELSE r.progress_nanousd END", "r.progress_nanousd"),
    ),
    _mutant("weeks have six days", "periods", 0, ("next := first + 7", "next := first + 6")),
    _mutant("a day ends a day late", "periods", 12, ("next := today + 1", "next := today + 2")),
    _mutant(
        "months start a day late",
        "periods", 3,
        ("today - (month_day - 1))::timestamp))::date + (month_day - 1)",
         "today - (month_day - 1))::timestamp))::date + month_day"),
    ),
    _mutant(
        "holds are not released",
        "settle", 6,
        ("held_nanousd = b.held_nanousd - s.held, ", ""),
    ),
    _mutant(
        "a key's cap on a model is ignored",
        "reserve", 17,
        ("model.scope = 'key_model' AND", "false AND"),
    ),
    _mutant(
        "models that may stand in are not held",
        "reserve", 17,
        ("IF call.fallback_models <> '{}' THEN", "IF false THEN"),
    ),
    _mutant(
        "models that did not serve are charged, too",
        "settle", 5,
        ("FILTER (WHERE counter.model IN ('', c.served))", ""),
    ),
    _mutant(
        "a cap set in mid-period forgets what was spent",
        "budgets", 17,
        ("posted_nanousd = billing_posted(", "posted_nanousd = 0 * billing_posted("),
    ),
    _mutant(
        "a cap set in mid-period forgets what is open",
        "budgets", 17,
        ("r.organization_id = organization AND r.state = 'open' AND r.mode = 'live'", "false"),
    ),
    _mutant(
        "a new period counts the old one again",
        "budgets", 0,
        ("greatest(since, max(b.period_end)) INTO since", "least(since, max(b.period_end)) INTO since"),
    ),
    _mutant(
        "calls of one batch do not see each other",
        "reserve", 6,
        ("- used[tightest] < call.upper_nanousd THEN", "- counters.used[tightest] < call.upper_nanousd THEN"),
    ),
    _mutant(
        "what is admitted is not held",
        "reserve", 7,
        ("WHERE b.id = ANY (counters.ids) AND b.id = u.id AND u.after > u.before", "WHERE false"),
    ),
    _mutant(
        "what just fits is refused",
        "reserve", 5,
        ("used[tightest] < call.upper_nanousd THEN", "used[tightest] <= call.upper_nanousd THEN"),
    ),
    _mutant(
        "a lease is renewed after the settlement",
        "settle", 5,
        ("call.request_id AND r.settled_at IS NULL AND r.owner", "call.request_id AND r.owner"),
    ),
    _mutant(
        "small charges are not in the ledger",
        "settle", 12,
        ("WHERE r.charge_nanousd > 0", "WHERE r.charge_nanousd > 1000"),
    ),
    _mutant(
        "some events are not announced",
        "settle", 0,
        ("r.organization_id FROM closed r\n    )", "r.organization_id FROM closed r WHERE charge_nanousd > 0\n    )"),
    ),
    _mutant(
        "test keys pay",
        "reserve", 12,
        ("AND c.mode = k.mode\n    WHERE", "\n    WHERE"),
        ("CASE call.mode WHEN 'live' THEN ids::text ELSE '{}' END", "call.ids::text"),
        ("CASE c.mode WHEN 'live' THEN c.upper_nanousd ELSE 0 END", "c.upper_nanousd"),
    ),
)  # fmt: skip

MEMBERS = (
    _mutant(
        "a member's budget is neither asked nor held",
        "reserve", 3,
        (" || member.slots AS slots", " AS slots"),
        (" || member.ids AS ids", " AS ids"),
    ),
    _mutant(
        "a member's budget is asked and not held",
        "reserve", 3,
        (" || member.ids AS ids", " AS ids"),
    ),
    _mutant(
        "only the first key of a member is bound",
        "reserve", 3,
        ("member.user_id = k.created_by_id\n", "member.user_id = k.created_by_id AND k.id % 2 = 0\n"),
    ),
    _mutant(
        "caps of members are not read",
        "budgets", 3,
        ("AND m.organization_id = ANY (organizations) AND c.cap IS NOT NULL", "AND false"),
    ),
    _mutant(
        "a member's budget is forgotten once its cap is taken away",
        "budgets", 0,
        ("b.scope = 'member' AND b.period_end > moment AND", "b.scope = 'member' AND false AND"),
    ),
    _mutant(
        "a member's budget set in mid-period forgets what was spent",
        "budgets", 80,
        ("WHEN own_keys IS NOT NULL THEN part.key_id = ANY (own_keys)", "WHEN own_keys IS NOT NULL THEN false"),
    ),
    _mutant(
        "a member's budget set in mid-period forgets what is open",
        "budgets", 7,
        ("WHEN 'member' THEN billing_is_of_member(wanted_id, api_key)", "WHEN 'member' THEN false"),
    ),
    _mutant(
        "settlement forgets the member's budget",
        "settle", 12,
        ("b WHERE b.id = ANY (counters)\n    ), account",
         "b WHERE b.id = ANY (counters) AND (swept OR b.scope <> 'member')\n    ), account"),
    ),
    _mutant(
        "the sweep forgets the member's budget",
        "settle", 3,
        ("b WHERE b.id = ANY (counters)\n    ), account",
         "b WHERE b.id = ANY (counters) AND (NOT swept OR b.scope <> 'member')\n    ), account"),
    ),
    _mutant(
        "an extension is not held on the member's budget",
        "extend", 220,
        ("WHERE b.id = ANY (call.budget_ids);", "WHERE b.id = ANY (call.budget_ids) AND b.scope <> 'member';"),
    ),
    _mutant(
        "an extension does not ask the member's budget",
        "extend", 566,
        ("billing_room(call.budget_ids,",
         "billing_room(ARRAY(SELECT id FROM billing_budget WHERE id = ANY (call.budget_ids) AND scope <> 'member'),"),
    ),
    _mutant(
        "a true-up neither asks nor moves the member's budget",
        "true_up", 140,
        ("(b.scope = 'wallet' OR (b.model", "(b.scope = 'wallet' OR (b.scope <> 'member' AND b.model"),
    ),
    _mutant(
        "a true-up does not ask the member's budget",
        "true_up", 418,
        ("billing_room(counters,",
         "billing_room(ARRAY(SELECT id FROM billing_budget WHERE id = ANY (counters) AND scope <> 'member'),"),
    ),
)  # fmt: skip

PAYING = (
    _mutant("raises are not added", "budgets", 17, ("own.cap + coalesce(raised.extra, 0)", "own.cap")),
    _mutant("a raise that has ended still holds", "budgets", 29, (" AND r.ends_at > moment", "")),
    _mutant("a raise holds before its time", "budgets", 23, ("r.starts_at <= moment AND ", "")),
    _mutant(
        "a raise of one model's cap is that of all",
        "budgets", 175,
        ("\n        AND raised.model = own.model AND raised.period", " AND raised.period"),
    ),
    _mutant(
        "the credit limit is not given",
        "budgets", 10,
        ("THEN least(w.cap, b.credited_nanousd + coalesce(a.credit_limit_nanousd, 0))\n                ELSE",
         "THEN least(w.cap, b.credited_nanousd)\n                ELSE"),
    ),
    _mutant(
        "what is added later does not know the credit limit",
        "budgets", 1200,
        ("THEN least(c.cap, b.credited_nanousd + coalesce(a.credit_limit_nanousd, 0))",
         "THEN least(c.cap, b.credited_nanousd)"),
    ),
    _mutant(
        "an old invoice closes no wallet",
        "budgets", 0,
        ("CASE WHEN w.scope = 'wallet' AND a.blocked_at IS NOT NULL THEN -1\n                WHEN", "CASE WHEN"),
    ),
    _mutant(
        "a refusal by the organization's total names the wallet",
        "budgets", 7,
        ("THEN 'organization' ELSE w.scope END", "THEN 'wallet' ELSE w.scope END"),
    ),
    _mutant(
        "the organization's total is no cap",
        "budgets", 7,
        ("o.budget_total_nanousd AS cap", "NULL::bigint AS cap"),
    ),
)  # fmt: skip

TRUED_UP = (
    _mutant(
        "another process may settle",
        "settle", 21,
        ("AND (process IS NULL OR r.owner = process)", ""),
    ),
    _mutant(
        "a true-up goes beyond the caps",
        "true_up", 24,
        ("event.charge_nanousd := least(wanted, (", "event.charge_nanousd := greatest(wanted, 0 * ("),
    ),
    _mutant(
        "a call is trued up again and again",
        "true_up", 58,
        ("AND NOT EXISTS (SELECT FROM billing_trueup t WHERE t.request_id = r.request_id)", ""),
    ),
    _mutant(
        "a true-up is not in the ledger",
        "true_up", 6,
        ("WHERE transferred <> 0", "WHERE false"),
    ),
    _mutant(
        "a bound is raised beyond a cap",
        "extend", 206,
        ("s.room < wish.more_nanousd) THEN 'over'", "s.room < 0) THEN 'over'"),
    ),
    _mutant(
        "a step is taken twice",
        "extend", 4,
        ("WHEN wish.step <= call.extensions THEN 'ok'\n", ""),
    ),
    _mutant(
        "a raised bound is held nowhere",
        "extend", 220,
        ("held_nanousd = b.held_nanousd + wish.more_nanousd", "held_nanousd = b.held_nanousd"),
    ),
)  # fmt: skip

RACING = (
    _mutant("the wallet is not locked", "budgets", 0, ("    ORDER BY id FOR UPDATE;", "    ORDER BY id;")),
)  # fmt: skip
