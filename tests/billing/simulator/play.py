"""
Plays many worlds side by side against the SQL functions: what they want next goes out in one call for each kind.

Everything happens in one transaction that is rolled back, so that the next worlds find empty tables. Time is the
worlds' own: a lease ends when a world lets it end, however long the machine takes to play.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction

from billing.metering import _row
from exerati.lib import ids
from tests.billing.simulator.beginnings import ask, join, make_worlds
from tests.billing.simulator.model import Wish
from tests.billing.simulator.world import World

STEPS = 24
AT_ONCE = 125
# Longer than any machine plays: the sweep of one world takes every call of the others whose lease has ended, too.
LEASE_SECONDS = 7 * 24 * 3600
OWNER = ids.new_uuid()
# What PostgreSQL knows of these tables is that they are empty whenever it looks; so it would read all of one for a row.
FORGET = """
    UPDATE pg_class SET relpages = 0, reltuples = -1
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'i') AND reltuples >= 0
"""
BUDGET_TABLES = {
    "organization": "accounts_organization",
    "project": "accounts_project",
    "key": "apikeys_apikey",
    "member": "accounts_membership",
}


def play(
    seeds: Sequence[int],
    *,
    steps: int = STEPS,
    at_once: int = AT_ONCE,
    meanwhile: Callable[[], object] = lambda: None,
) -> int:
    """
    Play each seed's world to its end and return how many steps that were; raises Violation.

    `meanwhile` happens before each round of steps.
    """
    taken = 0
    for first in range(0, len(seeds), at_once):
        with transaction.atomic():
            ask(FORGET)
            worlds = make_worlds(seeds[first : first + at_once])
            taken += _play_together(worlds, steps=steps, meanwhile=meanwhile)
            transaction.set_rollback(True)
    return taken


def _play_together(worlds: list[World], *, steps: int, meanwhile: Callable[[], object]) -> int:
    stories = {world.seed: world.story(steps) for world in worlds}
    wishes = {seed: next(story) for seed, story in stories.items()}
    taken = 0
    while wishes:
        taken += len(wishes)
        meanwhile()
        answers = fulfil(wishes)
        wishes = {}
        for seed, answer in answers.items():
            try:
                wishes[seed] = stories[seed].send(answer)
            except StopIteration:
                continue
    check_books(worlds)
    return taken


def fulfil(wishes: dict[int, Wish]) -> dict[int, Any]:
    """Do what the worlds want, one kind after the other, and return the answer to each."""
    by_kind: dict[str, dict[int, Wish]] = defaultdict(dict)
    for seed, wish in wishes.items():
        by_kind[wish.kind][seed] = wish
    answers: dict[int, Any] = {}
    for kind, wanted in by_kind.items():
        answers |= DOERS[kind]({seed: wish.rows for seed, wish in wanted.items()})
    return answers


def as_json(rows: Any) -> str:
    """Return rows as the doors send them."""
    return msgspec.json.encode(rows).decode()


def _columns(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _flat(wanted: dict[int, list[Any]]) -> list[Any]:
    return [row for rows in wanted.values() for row in rows]


def reserve(wanted: dict[int, list[Any]]) -> dict[int, Any]:
    """Admit the calls of all worlds in one batch."""
    [[verdicts]] = ask(
        "SELECT billing_reserve(%s::text::jsonb, %s, %s)::text",
        as_json(_flat(wanted)),
        OWNER,
        LEASE_SECONDS,
    )
    rest = iter(msgspec.json.decode(verdicts))
    return {seed: [next(rest) for _ in rows] for seed, rows in wanted.items()}


def settle(wanted: dict[int, list[Any]], *, process: UUID = OWNER) -> dict[int, Any]:
    """Settle the calls of all worlds in one batch."""
    rows = [_row(settlement) for settlement in _flat(wanted)]
    [[answer]] = ask("SELECT billing_settle(%s::text::jsonb, %s)::text", as_json(rows), process)
    found = {
        UUID(told["request_id"]): (told["settled"], told["charge"])
        for told in msgspec.json.decode(answer)
    }
    return {
        seed: {row.request_id: found[row.request_id] for row in rows}
        for seed, rows in wanted.items()
    }


def foreign(wanted: dict[int, list[Any]]) -> dict[int, Any]:
    """Settle as a process that has reserved none of the calls."""
    return settle(wanted, process=ids.new_uuid())


def extend(wanted: dict[int, list[Any]]) -> dict[int, Any]:
    """Raise the bounds of calls of all worlds in one batch."""
    [[verdicts]] = ask(
        "SELECT billing_extend(%s::text::jsonb, %s)::text", as_json(_flat(wanted)), OWNER
    )
    rest = iter(msgspec.json.decode(verdicts))
    return {seed: [next(rest) for _ in rows] for seed, rows in wanted.items()}


def renew(wanted: dict[int, list[Any]]) -> dict[int, Any]:
    """Renew the leases of all worlds at once; a world is told which of its calls are lost."""
    [[answer]] = ask(
        "SELECT billing_renew(%s::text::jsonb, %s, %s)::text",
        as_json(_flat(wanted)),
        OWNER,
        LEASE_SECONDS,
    )
    lost = set(msgspec.json.decode(answer))
    return {seed: lost & {row["request_id"] for row in rows} for seed, rows in wanted.items()}


def sweep(wanted: dict[int, list[UUID]]) -> dict[int, Any]:
    """Let the leases named end, and sweep."""
    ask(
        "UPDATE billing_reservation SET lease_until = clock_timestamp() - interval '1 second'"
        " WHERE request_id = ANY (%s)",
        _flat(wanted),
    )
    ask("SELECT billing_sweep(100000, 0)")
    return dict.fromkeys(wanted)


def cap(wanted: dict[int, list[Any]]) -> dict[int, Any]:
    """Write caps where the pages write them."""
    by_column: dict[tuple[str, str], list[tuple[int, int | None]]] = defaultdict(list)
    of_models = []
    for (scope, row_id, model), period, amount, _ in _flat(wanted):
        if scope == "key_model":
            of_models.append((row_id, model, period, amount))
        else:
            by_column[BUDGET_TABLES[scope], period].append((row_id, amount))
    for (table, period), rows in by_column.items():
        ask(
            f"UPDATE {table} t SET budget_{period}_nanousd = c.cap"  # noqa: S608  our own names
            " FROM unnest(%s::bigint[], %s::bigint[]) c (id, cap) WHERE t.id = c.id",
            *_columns(rows),
        )
    if of_models:
        ask(SET_CAPS_OF_MODELS, *_columns(of_models))
    open_counters([row[3] for row in _flat(wanted)])
    return dict.fromkeys(wanted)


def open_counters(owners: list[tuple[list[int], list[int], list[int]] | None]) -> None:
    """Make the missing counters of these organizations, projects and keys, as the next call would."""
    columns = [[row_id for owner in owners if owner for row_id in owner[n]] for n in range(3)]
    if columns[0]:
        ask("SELECT billing_lock_wallets(%s)", columns[0])
        ask("SELECT billing_open_budgets(%s, %s, %s, clock_timestamp())", *columns)


SET_CAPS_OF_MODELS = """
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[]) c (key_id, model, period, cap)
), gone AS (
    DELETE FROM apikeys_keymodelbudget b USING wanted w
    WHERE (b.key_id, b.model, b.period) = (w.key_id, w.model, w.period) AND w.cap IS NULL
)
INSERT INTO apikeys_keymodelbudget (key_id, model, period, cap_nanousd)
SELECT * FROM wanted WHERE cap IS NOT NULL
ON CONFLICT (key_id, model, period) DO UPDATE SET cap_nanousd = excluded.cap_nanousd
"""


def raise_caps(wanted: dict[int, list[Any]]) -> dict[int, Any]:
    """Store raises of caps, of now or of tomorrow, or end those of now."""
    rows = [
        (organization, scope, row_id, model, period, extra, begins)
        for organization, (scope, row_id, model), period, extra, begins in _flat(wanted)
    ]
    columns = _columns(rows)
    ask(END_RAISES, *columns[:-1])
    ask(STORE_RAISES, *columns)
    return dict.fromkeys(wanted)


END_RAISES = """
UPDATE billing_budgetraise r SET ends_at = clock_timestamp()
FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::bigint[])
    w (organization_id, scope, scope_id, model, period, extra)
WHERE (r.organization_id, r.scope, r.scope_id, r.model, r.period)
    = (w.organization_id, w.scope, w.scope_id, w.model, w.period)
  AND w.extra IS NULL AND r.starts_at < clock_timestamp() AND r.ends_at > clock_timestamp()
"""

STORE_RAISES = """
INSERT INTO billing_budgetraise (organization_id, scope, scope_id, model, period, extra_nanousd, starts_at, ends_at,
                                 reason, created_at)
SELECT organization_id, scope, scope_id, model, period, extra,
       clock_timestamp() + CASE WHEN begins THEN interval '0' ELSE interval '1 day' END,
       clock_timestamp() + interval '2 days', 'simulated', clock_timestamp()
FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::boolean[])
    w (organization_id, scope, scope_id, model, period, extra, begins)
WHERE extra IS NOT NULL
"""


def account(wanted: dict[int, list[Any]]) -> dict[int, Any]:
    """Write how organizations pay where plans and dunning write it."""
    ask(
        """
        INSERT INTO billing_billingaccount (organization_id, plan, credit_limit_nanousd, blocked_at, created_at)
        SELECT id, CASE WHEN credit > 0 THEN 'postpaid' ELSE 'prepaid' END, credit,
               CASE WHEN is_blocked THEN clock_timestamp() END, clock_timestamp()
        FROM unnest(%s::bigint[], %s::bigint[], %s::boolean[]) w (id, credit, is_blocked)
        ON CONFLICT (organization_id) DO UPDATE SET plan = excluded.plan, blocked_at = excluded.blocked_at,
            credit_limit_nanousd = excluded.credit_limit_nanousd
        """,
        *_columns(_flat(wanted)),
    )
    return dict.fromkeys(wanted)


def rejoin(wanted: dict[int, list[int]]) -> dict[int, Any]:
    """Let members leave and come back; a world is told the id of the new membership."""
    left = ask(
        "DELETE FROM accounts_membership WHERE id = ANY (%s) RETURNING id, organization_id, user_id",
        _flat(wanted),
    )
    joined = join([row[1:] for row in left])
    new = {before: joined[organization, user] for before, organization, user in left}
    return {seed: new[before] for seed, [before] in wanted.items()}


def turn(wanted: dict[int, list[Any]]) -> dict[int, Any]:
    """Let a period of each world end at this moment; a world is told which of its counters ended."""
    ended = _by_organization(
        """
        UPDATE billing_budget b SET period_end = clock_timestamp()
        FROM unnest(%s::bigint[], %s::text[]) w (organization_id, period)
        WHERE b.organization_id = w.organization_id AND b.period = w.period AND b.period_end > clock_timestamp()
        RETURNING b.organization_id, b.scope, b.scope_id, b.model, b.period
        """,
        *_columns([row[:2] for row in _flat(wanted)]),
    )
    open_counters([row[2] for row in _flat(wanted)])
    return {seed: [(row[:3], row[3]) for row in ended[rows[0][0]]] for seed, rows in wanted.items()}


DOERS: dict[str, Callable[[dict[int, list[Any]]], dict[int, Any]]] = {
    "reserve": reserve,
    "settle": settle,
    "foreign": foreign,
    "extend": extend,
    "renew": renew,
    "sweep": sweep,
    "cap": cap,
    "raise": raise_caps,
    "turn": turn,
    "account": account,
    "rejoin": rejoin,
}


# --- what the database holds


def check_books(worlds: list[World]) -> None:
    """Compare every stored amount of these worlds with their models; raises Violation."""
    organizations = [world.organization_id for world in worlds]
    counters = _by_organization(
        "SELECT organization_id, scope, scope_id, model, period, posted_nanousd, held_nanousd"
        " FROM billing_budget WHERE period_end > clock_timestamp() AND organization_id = ANY (%s)",
        organizations,
    )
    events = _by_organization(
        "SELECT organization_id, request_id, charge_nanousd FROM billing_usageevent"
        " WHERE organization_id = ANY (%s)",
        organizations,
    )
    transfers = _by_organization(
        """
        SELECT t.organization_id, split_part(t.idempotency_key, ':', 2)::uuid,
               sum(CASE a.kind WHEN 'revenue' THEN t.amount_nanousd ELSE -t.amount_nanousd END)::bigint
        FROM billing_ledgertransfer t JOIN billing_ledgeraccount a ON a.id = t.credit_account_id
        WHERE t.kind IN ('usage', 'trueup') AND t.organization_id = ANY (%s) GROUP BY 1, 2
        """,
        organizations,
    )
    messages = _by_organization(
        "SELECT organization_id, request_id FROM billing_outboxmessage WHERE organization_id = ANY (%s)",
        organizations,
    )
    for world in worlds:
        world.check_books(
            announced={row[0] for row in messages[world.organization_id]},
            counters=[(row[:3], *row[3:]) for row in counters[world.organization_id]],
            charges=dict(events[world.organization_id]),
            posted=dict(transfers[world.organization_id]),
        )
    ask("SET CONSTRAINTS ALL IMMEDIATE")


def _by_organization(statement: str, *parameters: Any) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for organization, *row in ask(statement, *parameters):
        found[organization].append(tuple(row))
    return found
