"""The tables that only grow: what is written stays."""

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from billing.models import LedgerTransfer, PriceVersion, ProviderCostVersion
from tests import factories
from tests.factories import LONG_AGO

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(db) -> dict[str, int]:
    """One row of each append-only table."""
    factories.make_credit(factories.make_organization())
    ProviderCostVersion.objects.create(
        provider="openai", upstream_model="gpt", effective_from=LONG_AGO
    )
    return {
        "billing_ledgertransfer": LedgerTransfer.objects.get().pk,
        "billing_priceversion": factories.make_price().pk,
        "billing_providercostversion": ProviderCostVersion.objects.get().pk,
    }


CHANGES = {
    "billing_ledgertransfer": "UPDATE billing_ledgertransfer SET amount_nanousd = 1 WHERE id = %s",
    "billing_priceversion": "UPDATE billing_priceversion SET input_microusd_per_mtok = 0 WHERE id = %s",
    "billing_providercostversion": "UPDATE billing_providercostversion SET provider = '' WHERE id = %s",
}


@pytest.mark.parametrize("table", CHANGES)
@pytest.mark.parametrize("statement", ["change", "delete"])
def test_written_row_can_neither_be_changed_nor_deleted(kept, table, statement):
    sql = CHANGES[table] if statement == "change" else f"DELETE FROM {table} WHERE id = %s"  # noqa: S608

    with (
        pytest.raises(DatabaseError) as caught,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql, [kept[table]])

    assert isinstance(caught.value.__cause__, psycopg.errors.RestrictViolation)


def test_orm_cannot_change_a_price_either():
    price = factories.make_price()
    price.input_microusd_per_mtok = 1

    with pytest.raises(DatabaseError), transaction.atomic():
        price.save()

    assert PriceVersion.objects.get().input_microusd_per_mtok == 100_000


@pytest.mark.parametrize("amount", [0, -1])
def test_transfer_moves_something(kept, amount):
    one = LedgerTransfer.objects.get()

    with pytest.raises(DatabaseError), transaction.atomic():
        LedgerTransfer.objects.create(
            idempotency_key="x",
            kind="x",
            debit_account=one.debit_account,
            credit_account=one.credit_account,
            amount_nanousd=amount,
            created_at=LONG_AGO,
        )


def test_event_is_posted_once_for_each_key_and_leg(kept):
    one = LedgerTransfer.objects.get()
    one.pk = None

    with pytest.raises(DatabaseError), transaction.atomic():
        one.save(force_insert=True)


@pytest.mark.parametrize(
    "deed", ["UPDATE billing_ledgertransfer SET reason = ''", "DELETE FROM billing_ledgertransfer"]
)
def test_owner_of_the_ledger_has_no_right_to_change_it_even_without_its_trigger(kept, deed):
    """The role of the tests may do anything, so that a role without such powers is made the owner."""
    role = f"ledger_owner_of_{connection.settings_dict['NAME']}"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_ledgertransfer DISABLE TRIGGER USER")
        cursor.execute(f"CREATE ROLE {role}")
        cursor.execute(f"ALTER TABLE billing_ledgertransfer OWNER TO {role}")
        cursor.execute(f"SET LOCAL ROLE {role}")
        cursor.execute("SELECT count(*) FROM billing_ledgertransfer")

        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            cursor.execute(deed)
        transaction.set_rollback(True)

    assert LedgerTransfer.objects.count() == 1
