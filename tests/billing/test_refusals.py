"""Refused requests are written down behind, in bounded number, and never more than once."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from billing import retention
from billing.models import RefusedRequest
from billing.refusals import EACH_MINUTE, MAX_WAITING, Refusals, RefusedCall
from exerati.lib import ids
from tests.billing.calls import make_payer, rows, stored

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


def refused(payer, **fields):
    values = {
        "request_id": ids.new_uuid(),
        "occurred_at": datetime.now(UTC),
        "organization_id": payer.organization.pk,
        "project_id": payer.key.project_id,
        "key_id": payer.key.pk,
        "mode": "live",
        "endpoint": "chat.completions",
        "status": 400,
        "code": "invalid_value",
        "message": "Bad.",
    }
    return RefusedCall(**(values | fields))


@pytest.fixture
async def door():
    door = Refusals()
    yield door
    await door.close()


def stored_rows():
    return rows("SELECT code, count, request_id FROM billing_refusedrequest ORDER BY request_id")


async def test_what_was_noted_is_stored_with_every_figure(payer, door):
    told = refused(
        payer,
        code="insufficient_quota",
        status=429,
        model="sandbox/echo",
        limit_kind="money",
        scope="key",
        period="month",
        cap_nanousd=100,
        posted_nanousd=60,
        held_nanousd=30,
        needed_nanousd=20,
        frees_at=datetime(2026, 12, 1, tzinfo=UTC),
    )
    door.note(told)

    assert await door.flush() == 1
    assert await door.flush() == 0

    found = await RefusedRequest.objects.aget(pk=told.request_id)
    for name in told.__struct_fields__:
        assert getattr(found, name) == getattr(told, name), name


async def test_key_that_hammers_is_stored_in_full_at_first_and_counted_after(payer, door):
    for _ in range(EACH_MINUTE + 500):
        door.note(refused(payer))
    door.note(refused(payer, code="model_not_found"))
    await door.flush()
    for _ in range(7):
        door.note(refused(payer))
    await door.flush()

    found = stored_rows()
    assert len(found) == EACH_MINUTE + 2
    assert sorted(count for code, count, _ in found if code == "invalid_value")[-2:] == [1, 507]


async def test_another_key_is_not_counted_with_the_one_that_hammers(payer, door):
    other = await stored(make_payer)
    for _ in range(EACH_MINUTE + 1):
        door.note(refused(payer))
    door.note(refused(other, code="from_another"))

    await door.flush()

    assert [count for code, count, _ in stored_rows() if code == "from_another"] == [1]


async def test_what_waits_is_bounded(payer, door):
    for number in range(MAX_WAITING + 50):
        door.note(refused(payer, key_id=number))

    assert await door.flush() == MAX_WAITING


async def test_text_that_the_database_does_not_take_is_cleaned_and_cut(payer, door):
    door.note(
        refused(payer, model="a\x00b" + "m" * 500, message="\ud83d" + "x" * 900, param="p" * 999)
    )

    assert await door.flush() == 1

    [(model, message, param)] = rows("SELECT model, message, param FROM billing_refusedrequest")
    assert model.startswith("abm")
    assert len(model) <= 120
    assert (message[0], len(message)) == ("?", 600)
    assert len(param) == 120


async def test_while_the_database_is_away_refusals_wait_and_are_stored_once(payer, door):
    first = refused(payer)
    door.note(first)
    own, door._connection = door._connection, Broken()
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            await door.flush()
    door._connection = own

    assert await door.flush() == 1
    assert [(count, ident) for _, count, ident in stored_rows()] == [(1, first.request_id)]


class Broken:
    """A connection to nowhere, as the door sees one."""

    async def fetch_value(self, *arguments):
        raise psycopg.OperationalError("away")


async def test_closing_stores_what_waits(payer):
    door = Refusals()
    door.note(refused(payer))

    await door.close()

    assert len(stored_rows()) == 1


async def test_only_a_budget_that_refused_wakes_the_alerts(payer, door):
    door.note(refused(payer))
    door.note(refused(payer, limit_kind="requests", scope="key", period="minute"))
    door.note(refused(payer, limit_kind="money", scope="key", period="request"))
    await door.flush()
    assert rows("SELECT * FROM billing_changedspend") == []

    for _ in range(2):
        door.note(refused(payer, limit_kind="money", scope="wallet", period="total"))
        await door.flush()

    assert rows("SELECT * FROM billing_changedspend") == [(payer.organization.pk,)]


async def test_refusals_are_forgotten_after_35_days(payer, door):
    door.note(refused(payer))
    await door.flush()
    now = datetime.now(UTC)

    assert await stored(retention.prune_refusals, now + timedelta(days=34)) == 0
    assert await stored(retention.prune_refusals, now + timedelta(days=36), batch=1) == 1
