"""
Plays many worlds side by side against the SQL functions: what they want next goes out in one call for each kind.

Everything happens in one transaction that is rolled back, so that the next worlds find empty tables. Time is the
worlds' own: a lease ends when a world lets it end, however long the machine takes to play.
"""

import random
import secrets
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Organization, Project
from apikeys.models import ApiKey
from billing.metering import _row
from billing.models import PriceVersion
from exerati.lib import ids
from tests.billing.simulator.world import ZONES, Key, Wish, World

STEPS = 24
AT_ONCE = 125
# Longer than any machine plays: the sweep of one world takes every call of the others whose lease has ended, too.
LEASE_SECONDS = 7 * 24 * 3600
OWNER = ids.new_uuid()
BUDGET_TABLES = {
    "organization": "accounts_organization",
    "project": "accounts_project",
    "key": "apikeys_apikey",
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


def ask(statement: str, *parameters: Any) -> list[Any]:
    """Return the rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


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
    "turn": turn,
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


# --- how a world begins


def make_worlds(seeds: Sequence[int]) -> list[World]:
    """Store an organization with two projects, three live keys, a test key and some credit for each seed."""
    zones = [zone for zone in ZONES if _far_from_midnight(zone)]
    price = PriceVersion.objects.create(model="simulated", effective_from=timezone.now())
    dice = [random.Random(seed) for seed in seeds]
    organizations = Organization.objects.bulk_create(
        Organization(
            name="Simulated",
            slug=f"simulated-{seed}",
            time_zone=roll.choice(zones),
            week_start=roll.randint(1, 7),
            month_day=roll.randint(1, 28),
        )
        for seed, roll in zip(seeds, dice, strict=True)
    )
    keys = _make_keys(organizations)
    worlds = [
        World(
            seed=seed,
            organization_id=organization.pk,
            keys=keys[organization.pk],
            price_version_id=price.pk,
            credit=roll.choice((5_000, 20_000, 50_000)),
            zone=organization.time_zone,
            week_start=organization.week_start,
            month_day=organization.month_day,
            dice=roll,
        )
        for seed, organization, roll in zip(seeds, organizations, dice, strict=True)
    ]
    _give_credit(worlds)
    return worlds


def _far_from_midnight(zone: str) -> bool:
    # A period that really ended while the worlds are played would be nobody's fault.
    now = datetime.now(UTC).astimezone(ZoneInfo(zone))
    return (now + timedelta(minutes=15)).date() == now.date()


def _make_keys(organizations: list[Organization]) -> dict[int, tuple[Key, ...]]:
    projects = Project.objects.bulk_create(
        Project(organization=organization, name=name)
        for organization in organizations
        for name in ("one", "two")
    )
    modes = (("live", 0), ("live", 0), ("live", 1), ("test", 0))
    rows = ApiKey.objects.bulk_create(
        ApiKey(
            organization=organization,
            project=projects[2 * n + project],
            name="simulated",
            mode=mode,
            key_hash=secrets.token_bytes(32),
        )
        for n, organization in enumerate(organizations)
        for mode, project in modes
    )
    keys: dict[int, tuple[Key, ...]] = defaultdict(tuple)
    for row in rows:
        keys[row.organization_id] += (Key(row.pk, row.project_id, row.mode),)  # type: ignore[arg-type]
    return keys


def _give_credit(worlds: list[World]) -> None:
    organizations = [world.organization_id for world in worlds]
    ask("SELECT billing_lock_wallets(%s)", organizations)
    ask(
        "UPDATE billing_budget b SET credited_nanousd = c.credit"
        " FROM unnest(%s::bigint[], %s::bigint[]) c (id, credit) WHERE b.scope = 'wallet' AND b.scope_id = c.id",
        organizations,
        [world.credit for world in worlds],
    )
