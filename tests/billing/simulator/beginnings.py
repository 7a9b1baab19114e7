"""How worlds begin: organizations with two projects, two members, three live keys, a test key and some credit."""

import random
import secrets
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone

from accounts.models import Membership, Organization, Project, User
from apikeys.models import ApiKey
from billing.models import PriceVersion
from tests.billing.simulator.world import ZONES, Key, World

SHARED_BY = 5  # organizations with the same people


def ask(statement: str, *parameters: Any) -> list[Any]:
    """Return the rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def make_worlds(seeds: Sequence[int]) -> list[World]:
    """Store an organization with two projects, three live keys, a test key and some credit for each seed."""
    price = PriceVersion.objects.create(model="simulated", effective_from=timezone.now())
    dice = [random.Random(seed) for seed in seeds]
    organizations = Organization.objects.bulk_create(
        Organization(
            name="Simulated",
            slug=f"simulated-{seed}",
            time_zone=_zone(roll),
            week_start=roll.randint(1, 7),
            month_day=roll.randint(1, 28),
        )
        for seed, roll in zip(seeds, dice, strict=True)
    )
    people = _make_people(organizations)
    members = join([(one.pk, user.pk) for one in organizations for user in people[one.pk]])
    keys = _make_keys(organizations, people)
    worlds = [
        World(
            seed=seed,
            organization_id=organization.pk,
            keys=keys[organization.pk],
            members=[members[organization.pk, user.pk] for user in people[organization.pk]],
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


def _zone(roll: random.Random) -> str:
    """Return a zone: the same at every time of day, but for those that are near midnight."""
    wanted = ZONES.index(roll.choice(ZONES))
    return next(zone for zone in ZONES[wanted:] + ZONES[:wanted] if _far_from_midnight(zone))


def _far_from_midnight(zone: str) -> bool:
    # A period that really ended while the worlds are played would be nobody's fault.
    now = datetime.now(UTC).astimezone(ZoneInfo(zone))
    return (now + timedelta(minutes=15)).date() == now.date()


def _make_people(organizations: list[Organization]) -> dict[int, list[User]]:
    """
    Return two people for each organization, who are in the next few as well: what binds them in one is nobody's
    business in another.
    """
    people: dict[int, list[User]] = {}
    for number, organization in enumerate(organizations):
        if number % SHARED_BY == 0:
            pair = [_make_user(name) for name in ("bob", "dora")]
        people[organization.pk] = pair
    return people


def _make_user(name: str) -> User:
    return User.objects.create(email=f"{name}-{secrets.token_hex(8)}@simulated.example")


def _make_keys(
    organizations: list[Organization], people: dict[int, list[User]]
) -> dict[int, tuple[Key, ...]]:
    projects = Project.objects.bulk_create(
        Project(organization=organization, name=name)
        for organization in organizations
        for name in ("one", "two")
    )
    # Mode, project and maker of each.
    kinds = (("live", 0, 0), ("live", 0, 1), ("live", 1, 0), ("test", 0, 0))
    rows = ApiKey.objects.bulk_create(
        ApiKey(
            organization=organization,
            project=projects[2 * n + project],
            name="simulated",
            mode=mode,
            key_hash=secrets.token_bytes(32),
            created_by=people[organization.pk][maker],
        )
        for n, organization in enumerate(organizations)
        for mode, project, maker in kinds
    )
    keys: dict[int, tuple[Key, ...]] = defaultdict(tuple)
    makers = {user.pk: maker for pair in people.values() for maker, user in enumerate(pair)}
    for row in rows:
        key = Key(row.pk, row.project_id, makers[row.created_by_id], row.mode)  # type: ignore[arg-type, index]
        keys[row.organization_id] += (key,)
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


def join(members: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Make users members of organizations; return the ids by both."""
    rows = Membership.objects.bulk_create(
        Membership(organization_id=organization, user_id=user, role=Membership.Role.DEVELOPER)
        for organization, user in members
    )
    return {(row.organization_id, row.user_id): row.pk for row in rows}
