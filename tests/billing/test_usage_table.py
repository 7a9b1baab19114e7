"""The partitioned table of usage events, which Django does not make."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from billing import aggregation
from billing.models import UsageEvent
from billing.tasks import create_partitions
from exerati.lib import ids

pytestmark = pytest.mark.django_db

FAR = datetime(2031, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)
# The database is made soon after; a month may begin before it is looked at.
STARTED = timezone.now()


def query(statement: str, *parameters: Any) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def partitions() -> set[str]:
    """Return the names of the monthly partitions, as year and month."""
    found = query(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'billing_usageevent'::regclass"
    )
    return {str(name).removeprefix("billing_usageevent_") for (name,) in found}


def store_event(occurred_at: datetime, **changes: object) -> UsageEvent:
    """Store an event as settlement writes it."""
    values: dict[str, object] = {
        "request_id": ids.new_uuid(),
        "occurred_at": occurred_at,
        "settled_at": occurred_at,
        "organization_id": 1,
        "project_id": 1,
        "key_id": 1,
        "mode": "live",
        "endpoint": "chat/completions",
        "model": "m",
        "outcome": "finished",
        "basis": "reported",
        "price_version_id": 1,
        "upper_nanousd": 10,
        "price_nanousd": 5,
        "charge_nanousd": 5,
        **changes,
    }
    return UsageEvent.objects.create(**values)


def stored_in(event: UsageEvent) -> str:
    found = query(
        "SELECT tableoid::regclass::text FROM billing_usageevent WHERE request_id = %s",
        event.request_id,
    )
    assert len(found) == 1
    return str(found[0][0]).removeprefix("billing_usageevent_")


def test_model_and_table_have_the_same_columns():
    table = {
        (name, nullable == "YES", kind)
        for name, nullable, kind in query(
            "SELECT column_name, is_nullable, CASE WHEN character_maximum_length IS NULL THEN data_type"
            " ELSE 'varchar(' || character_maximum_length || ')' END"
            " FROM information_schema.columns WHERE table_name = 'billing_usageevent'"
        )
    }
    model = {
        (
            field.column,
            field.null,
            str(field.db_type(connection)).replace("timestamp with time zone", "timestamptz"),
        )
        for field in UsageEvent._meta.concrete_fields
    }
    aliases = {"timestamp with time zone": "timestamptz", "ARRAY": "text[]"}

    assert {(name, null, aliases.get(str(kind), kind)) for name, null, kind in table} == model


def test_partitions_exist_for_this_month_and_the_next_two():
    assert any(three_months(at) <= partitions() for at in (STARTED, timezone.now()))


def three_months(now: datetime) -> set[str]:
    """Return the names of this month's partition and of the next two."""
    months = [now.year * 12 + now.month - 1 + ahead for ahead in range(3)]
    return {f"{month // 12}_{month % 12 + 1:02d}" for month in months}


def test_events_at_both_ends_of_a_month_go_into_it():
    aggregation.create_partitions(FAR, months=2)

    assert stored_in(store_event(datetime(2031, 1, 1, tzinfo=UTC))) == "2031_01"
    assert stored_in(store_event(FAR)) == "2031_01"
    assert stored_in(store_event(FAR + timedelta(microseconds=1))) == "2031_02"


def test_making_partitions_again_makes_none():
    assert aggregation.create_partitions(FAR, months=3) == 3
    before = partitions()

    assert aggregation.create_partitions(FAR, months=3) == 0
    assert partitions() == before


def test_task_has_nothing_left_to_make():
    before = partitions()

    create_partitions.delay()

    assert partitions() == before


def test_event_without_a_partition_is_kept_and_moves_into_the_partition_made_later():
    event = store_event(FAR)
    other = store_event(FAR + timedelta(days=300))
    assert (stored_in(event), stored_in(other)) == ("default", "default")

    aggregation.create_partitions(FAR, months=1)

    assert (stored_in(event), stored_in(other)) == ("2031_01", "default")


def test_partition_made_later_has_the_checks_and_keys_of_the_table():
    aggregation.create_partitions(FAR, months=1)
    event = store_event(FAR)

    wrong: list[dict[str, Any]] = [
        {"request_id": event.request_id},
        {"charge_nanousd": 11},
        {"input_tokens": -1},
    ]
    for changes in wrong:
        with pytest.raises(Exception) as caught:
            store_in_savepoint(changes)
        assert isinstance(caught.value.__cause__, psycopg.IntegrityError)


def store_in_savepoint(changes: dict[str, Any]) -> None:
    with transaction.atomic():
        store_event(FAR, **changes)
