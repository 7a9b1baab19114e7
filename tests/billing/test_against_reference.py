"""The SQL functions against the reference model, over random histories of two organizations."""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from accounts import services
from apikeys.models import ApiKey
from billing.metering import _encode, _row
from exerati.lib import ids
from exerati.lib.database import conninfo
from tests import factories
from tests.billing.calls import Payer, assert_books_balance, make_payer, settlement
from tests.billing.reference import Reference

CREDIT = 20_000
# Calls are numbered: a small range makes repeats, late settlements and unknown calls common.
NUMBERS = st.integers(0, 30)
AMOUNTS = st.integers(0, 3_000)
CAPS = st.sampled_from([None, 0, 500, 2_000, 4_000, 6_000, 8_000, 12_000])
MODELS = ("sandbox/echo", "b", "c")
PERIODS = st.sampled_from(["week", "month", "week", "month", "total"])
RESERVE = st.tuples(
    st.just("reserve"),
    st.lists(st.tuples(NUMBERS, AMOUNTS), min_size=1, max_size=5, unique_by=lambda c: c[0]),
)
SETTLE = st.tuples(
    st.just("settle"),
    st.lists(
        st.tuples(NUMBERS, st.integers(-10, 9_000)),
        min_size=1,
        max_size=4,
        unique_by=lambda c: c[0],
    ),
)
RENEW = st.tuples(st.just("renew"), NUMBERS, AMOUNTS, st.booleans())
SWEEP = st.tuples(st.just("sweep"))
CAP = st.tuples(
    st.just("cap"),
    st.integers(0, 2),
    st.sampled_from(["key", "project", "member", "organization", "key_model", "key_model"]),
    PERIODS,
    CAPS,
)
HISTORIES = st.lists(
    st.one_of(RESERVE, RESERVE, RESERVE, RESERVE, SETTLE, RENEW, SWEEP, CAP, CAP, CAP),
    min_size=12,
    max_size=40,
)


@dataclass
class World:
    """The database and the model side by side; call number n belongs to payer n modulo 3."""

    connection: "psycopg.Connection[Any]"
    payers: list[Payer]
    members: list[int]  # of each payer, who made its key
    model: Reference = field(default_factory=Reference)
    owner: UUID = field(default_factory=ids.new_uuid)
    request_ids: dict[int, UUID] = field(default_factory=dict)

    def ask(self, statement: str, *parameters: Any) -> Any:
        row = self.connection.execute(statement, parameters).fetchone()
        return row[0] if row else None

    def id_of(self, number: int) -> UUID:
        return self.request_ids.setdefault(number, ids.new_uuid())

    def scopes(self, number: int) -> tuple[str, ...]:
        payer = self.payers[number % 3]
        organization = payer.organization.pk
        return (
            f"wallet {organization}",
            f"organization {organization}",
            f"project {payer.key.project_id}",
            f"key {payer.key.pk}",
            f"member {self.members[number % 3]}",
            f"key_model {payer.key.pk} {self.models(number)[0]}",
        )

    def models(self, number: int) -> tuple[str, ...]:
        """Return what call number n asks for, then what may stand in: nothing, or one or two others."""
        turn = number // 3
        return tuple(MODELS[(turn + step) % len(MODELS)] for step in range(1 + turn % 3))

    def fallbacks(self, number: int) -> tuple[str, ...]:
        key = self.payers[number % 3].key.pk
        return tuple(f"key_model {key} {model}" for model in self.models(number)[1:])

    def reserve(self, wanted: list[tuple[int, int]]) -> None:
        calls = [
            structs.asdict(
                self.payers[number % 3].call(
                    upper,
                    request_id=str(self.id_of(number)),
                    model=self.models(number)[0],
                    fallback_models=self.models(number)[1:],
                )
            )
            for number, upper in wanted
        ]
        answer = self.ask(
            "SELECT billing_reserve(%s::text::jsonb, %s, 20)", json.dumps(calls), self.owner
        )
        for (number, upper), verdict in zip(wanted, answer, strict=True):
            scopes, fallbacks = self.scopes(number), self.fallbacks(number)
            room = self.model.room(scopes + fallbacks)
            assert verdict["verdict"] == self.model.reserve(
                number, scopes, upper, fallbacks=fallbacks
            )
            if verdict["verdict"] == "over":
                assert verdict["cap"] - verdict["posted"] - verdict["held"] == room

    def settle(self, ended: list[tuple[int, int]]) -> None:
        served = {
            number: self.models(number)[charge % len(self.models(number))]
            for number, charge in ended
        }
        calls = [
            _encode(_row(settlement(self.id_of(number), charge, model=served[number]))).decode()
            for number, charge in ended
        ]
        answer = self.ask(
            "SELECT billing_settle(%s::text::jsonb, %s)", f"[{','.join(calls)}]", self.owner
        )
        given = {UUID(a["request_id"]): (a["settled"], a["charge"]) for a in answer}
        # Late ones share what room there is in the order of their ids.
        for number, charge in sorted(ended, key=lambda call: self.id_of(call[0])):
            key = self.payers[number % 3].key.pk
            unserved = {f"key_model {key} {model}" for model in self.models(number)}
            unserved.discard(f"key_model {key} {served[number]}")
            expected = self.model.settle(number, charge, unserved=tuple(unserved))
            assert given[self.id_of(number)] == expected

    def renew(self, number: int, progress: int, sent: bool) -> None:
        call = {"request_id": str(self.id_of(number)), "input_tokens": 1, "output_tokens": 1}
        call |= {"progress_nanousd": progress, "sent": sent}
        lost = self.ask(
            "SELECT billing_renew(%s::text::jsonb, %s, 20)", json.dumps([call]), self.owner
        )
        assert (lost == []) == self.model.renew(number, progress, sent=sent)

    def sweep(self) -> None:
        self.connection.execute(
            "UPDATE billing_reservation SET lease_until = clock_timestamp() - interval '1 second' WHERE owner = %s",
            [self.owner],
        )
        assert self.ask("SELECT billing_sweep(500, 0)") == self.model.sweep()

    def cap(self, which: int, scope: str, period: str, cap: int | None) -> None:
        payer = self.payers[which]
        if scope == "key_model":
            self.cap_of_model(payer, MODELS[(cap or 0) % len(MODELS)], period, cap)
            return
        if scope == "member" and period == "total":
            return  # members have none
        table, row_id = {
            "member": ("accounts_membership", self.members[which]),
            "key": ("apikeys_apikey", payer.key.pk),
            "project": ("accounts_project", payer.key.project_id),
            "organization": ("accounts_organization", payer.organization.pk),
        }[scope]
        self.connection.execute(
            f"UPDATE {table} SET budget_{period}_nanousd = %s WHERE id = %s",  # noqa: S608  our own names
            [cap, row_id],
        )
        self.model.caps.pop((f"{scope} {row_id}", period), None)
        if cap is not None:
            self.model.caps[f"{scope} {row_id}", period] = cap

    def cap_of_model(self, payer: Payer, model: str, period: str, cap: int | None) -> None:
        self.connection.execute(
            "DELETE FROM apikeys_keymodelbudget WHERE key_id = %s AND model = %s AND period = %s",
            [payer.key.pk, model, period],
        )
        self.model.caps.pop((f"key_model {payer.key.pk} {model}", period), None)
        if cap is not None:
            self.connection.execute(
                "INSERT INTO apikeys_keymodelbudget (key_id, model, period, cap_nanousd) VALUES (%s, %s, %s, %s)",
                [payer.key.pk, model, period, cap],
            )
            self.model.caps[f"key_model {payer.key.pk} {model}", period] = cap


def make_world(connection: "psycopg.Connection[Any]") -> World:
    """Store two organizations, the first with two keys of one member, and some credit."""
    one, other = make_payer(credit_usd="0.00002"), make_payer(credit_usd="0.00002")
    second = Payer(one.organization, factories.make_api_key(one.organization).key, one.price)
    payers = [one, second, other]
    # One person belongs to both organizations, with a budget in each.
    person = factories.make_user()
    members = {
        payer.organization: services.add_member(
            payer.organization, user=person, role="developer", actor=None
        )
        for payer in (one, other)
    }
    ApiKey.objects.filter(pk__in=[payer.key.pk for payer in payers]).update(created_by=person)
    world = World(connection, payers, [members[payer.organization].pk for payer in payers])
    for payer in world.payers:
        world.model.caps[f"wallet {payer.organization.pk}", "total"] = CREDIT
    return world


@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=HISTORIES)
def test_database_and_reference_agree_over_any_history(transactional_db, history):
    with psycopg.connect(**conninfo(), autocommit=True) as connection:
        world = make_world(connection)

        for operation, *arguments in history:
            getattr(world, operation)(*arguments)

        assert_books_balance()
        world.sweep()
    assert_books_balance()
