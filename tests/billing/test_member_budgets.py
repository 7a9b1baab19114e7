"""Budgets of members: one more counter that the calls of a member's keys and sessions are held on and posted to."""

import asyncio
import random

import pytest
from django.db import connection
from django.utils import timezone

from accounts import services
from accounts.models import Membership
from apikeys import seats
from billing import aggregation
from billing.verification import verify_calls
from tests import factories
from tests.billing.calls import (
    Payer,
    assert_books_balance,
    budget,
    expire_leases,
    make_payer,
    open_doors,
    outcomes,
    rows,
    settlement,
    stored,
    sweep,
    update,
)
from tests.billing.owing import month_day_in_mid_month
from tests.billing.test_posted import age

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]

USD = 10**9


class Team:
    """An organization with two developers, bob with two keys and a seat, dora with one key."""

    def __init__(self) -> None:
        self.payer = make_payer()
        organization = self.payer.organization
        self.bob, self.dora = (self._join(name) for name in ("bob", "dora"))
        self.first, self.second = (self._key(self.bob) for _ in range(2))
        self.other = self._key(self.dora)
        seat = seats.take(
            organization,
            user=self.bob.user,
            project=organization.projects.get(is_default=True),
            mode="live",
        )
        self.seat = Payer(organization, seat, self.payer.price)

    def _join(self, name: str) -> Membership:
        return services.add_member(
            self.payer.organization,
            user=factories.make_user(f"{name}@acme.example"),
            role="developer",
            actor=None,
        )

    def _key(self, member: Membership) -> Payer:
        key = factories.make_api_key(self.payer.organization).key
        key.created_by = member.user
        key.save(update_fields=["created_by"])
        return Payer(self.payer.organization, key, self.payer.price)


@pytest.fixture
def team(transactional_db) -> Team:
    return Team()


def cap(member: Membership, **caps: int | None) -> None:
    update(
        "accounts_membership",
        member.pk,
        **{f"budget_{period}_nanousd": value for period, value in caps.items()},
    )


async def test_keys_and_seat_of_a_member_share_the_budget_and_nobody_else_does(team):
    cap(team.bob, month=1_000)

    async with open_doors() as doors:
        requests = [
            team.first.call(400),
            team.other.call(5_000),
            team.second.call(400),
            team.payer.call(5_000),  # an operator's key, of no member
            team.seat.call(201),
            team.seat.call(200),
            team.first.call(1),
        ]
        assert await outcomes(doors.budgets, requests) == [
            "ok",
            "ok",
            "ok",
            "ok",
            "member month",
            "ok",
            "member month",
        ]
    assert budget("member", team.bob.pk, period="month") == (0, 1_000)
    assert rows("SELECT count(*) FROM billing_budget WHERE scope = 'member'") == [(1,)]


@pytest.mark.parametrize("period", ["day", "week", "month"])
async def test_every_period_is_capped_and_freed_by_what_was_not_used(team, period):
    cap(team.bob, **{period: 1_000})

    async with open_doors() as doors:
        call = team.first.call(1_000)
        assert await outcomes(doors.budgets, [call]) == ["ok"]
        assert await outcomes(doors.budgets, [team.second.call(1)]) == [f"member {period}"]
        await doors.metering.settle(settlement(call, 600))
        assert await outcomes(doors.budgets, [team.second.call(401)]) == [f"member {period}"]
        assert await outcomes(doors.budgets, [team.second.call(400)]) == ["ok"]

    assert budget("member", team.bob.pk, period=period) == (600, 400)


async def test_budget_set_in_mid_period_knows_what_all_keys_spent_wherever_it_is_written(team):
    revoked = team.second.key
    month_day = month_day_in_mid_month()
    update("accounts_organization", team.payer.organization.pk, month_day=month_day)
    async with open_doors() as doors:
        for round, charge in enumerate((100, 20, 3)):
            made = [one.call() for one in (team.first, team.second, team.seat, team.other)]
            await asyncio.gather(*map(doors.budgets.reserve, made))
            await asyncio.gather(*(doors.metering.settle(settlement(c, charge)) for c in made))
            if round == 0:
                age(hours=1)
                await stored(aggregation.roll_up)
        update("apikeys_apikey", revoked.pk, revoked_at=timezone.now())
        still_open = team.first.call(50)
        assert await outcomes(doors.budgets, [still_open]) == ["ok"]
        cap(team.bob, month=500)

        assert await outcomes(doors.budgets, [team.seat.call(500 - 3 * 123 - 50 + 1)]) == [
            "member month"
        ]
        assert await outcomes(doors.budgets, [team.seat.call(500 - 3 * 123 - 50)]) == ["ok"]

        await doors.metering.settle(settlement(still_open, 7))
    assert budget("member", team.bob.pk, period="month") == (3 * 123 + 7, 500 - 3 * 123 - 50)
    assert_books_balance()


async def test_budget_taken_away_goes_on_counting_for_when_it_comes_back(team):
    async with open_doors() as doors:
        cap(team.bob, month=1_000)
        assert await outcomes(doors.budgets, [team.first.call(300)]) == ["ok"]
        cap(team.bob, month=None)
        assert await outcomes(doors.budgets, [team.first.call(5_000)]) == ["ok"]
        cap(team.bob, month=5_500)

        assert await outcomes(doors.budgets, [team.first.call(201), team.first.call(200)]) == [
            "member month",
            "ok",
        ]


async def test_member_who_left_binds_no_call_and_open_ones_still_settle(team):
    cap(team.bob, month=1_000)
    async with open_doors() as doors:
        call = team.first.call(1_000)
        assert await outcomes(doors.budgets, [call]) == ["ok"]
        await stored(team.bob.delete)

        assert await outcomes(doors.budgets, [team.second.call(5_000)]) == ["ok"]
        await doors.metering.settle(settlement(call, 900))

    assert rows(
        "SELECT posted_nanousd, held_nanousd FROM billing_budget WHERE scope = 'member'"
    ) == [(900, 0)]
    assert_books_balance()


async def test_budget_in_one_organization_is_nobodys_business_in_another(team):
    elsewhere = await stored(make_payer)
    member = await stored(
        lambda: services.add_member(
            elsewhere.organization, user=team.bob.user, role="developer", actor=None
        )
    )
    update("apikeys_apikey", elsewhere.key.pk, created_by_id=team.bob.user_id)
    cap(team.bob, month=1_000)

    async with open_doors() as doors:
        # In one batch, so that both organizations are decided on together.
        assert await outcomes(
            doors.budgets, [elsewhere.call(5_000), team.first.call(1_000), elsewhere.call(5_000)]
        ) == ["ok", "ok", "ok"]
        cap(member, month=10_000)
        assert await outcomes(doors.budgets, [elsewhere.call(1), team.first.call(1)]) == [
            "member month",
            "member month",
        ]


async def test_extension_and_true_up_stay_within_the_budget(team):
    cap(team.bob, month=1_000)
    async with open_doors() as doors:
        call = team.first.call(800)
        assert await outcomes(doors.budgets, [call]) == ["ok"]
        assert not await doors.budgets.extend(call.request_id, step=1, more_nanousd=201)
        assert await doors.budgets.extend(call.request_id, step=1, more_nanousd=200)
        expire_leases([call.request_id])
        await stored(sweep)
        assert budget("member", team.bob.pk, period="month") == (0, 0)

        assert await outcomes(doors.budgets, [team.second.call(100)]) == ["ok"]
        await doors.metering.settle(settlement(call, 950))  # late: 900 is all that still fits

    assert budget("member", team.bob.pk, period="month") == (900, 100)
    assert_books_balance()


async def test_random_calls_of_many_never_pass_the_budget_and_post_every_charge(team):
    dice = random.Random(20261128)
    cap(team.bob, day=20_000, month=50_000)  # the day's is the tighter one
    cap(team.dora, week=9_000)
    update("apikeys_apikey", team.first.key.pk, budget_day_nanousd=15_000)
    payers = [team.first, team.second, team.seat, team.other, team.payer]

    async with open_doors() as doors:

        async def one(payer: Payer) -> None:
            call = payer.call(dice.randrange(1, 4_000))
            verdict = await outcomes(doors.budgets, [call])
            if verdict == ["ok"]:
                await asyncio.sleep(0)
                await doors.metering.settle(
                    settlement(call, dice.randrange(0, call.upper_nanousd + 1))
                )

        for _ in range(6):
            await asyncio.gather(*(one(dice.choice(payers)) for _ in range(40)))

    charged = dict(
        rows(
            "SELECT k.created_by_id, sum(e.charge_nanousd)::bigint FROM billing_usageevent e"
            " JOIN apikeys_apikey k ON k.id = e.key_id WHERE k.created_by_id IS NOT NULL GROUP BY 1"
        )
    )
    bob, dora = charged[team.bob.user_id], charged[team.dora.user_id]
    assert budget("member", team.bob.pk, period="day") == (bob, 0)
    assert budget("member", team.bob.pk, period="month") == (bob, 0)
    assert budget("member", team.dora.pk, period="week") == (dora, 0)
    assert 0.8 * 20_000 < bob <= 20_000
    assert 0.7 * 9_000 < dora <= 9_000
    assert_books_balance()
    await stored(ledger_is_right)


def ledger_is_right() -> None:
    """`manage.py ledger verify` finds nothing, and finds a member's counter that somebody changed."""
    assert wrong_periods() == []
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_budget SET posted_nanousd = posted_nanousd + 1 WHERE scope = 'member'"
        )
    assert len(wrong_periods()) == 3


def wrong_periods() -> list[str]:
    [found] = [one for one in verify_calls.INVARIANTS if one.name == "periods of budgets"]
    with connection.cursor() as cursor:
        cursor.execute(found.broken)
        return [row[0] for row in cursor.fetchall()]
