"""The ledger page: every line with its balance, the calls of a day, filters, pages, and the CSV of any range."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from billing import lots, wallet
from billing.models import CreditLot, LedgerTransfer, UsageEvent
from billing.read_models import ledger_report
from exerati.lib import ids
from tests import factories
from tests.billing.payments import USD, buy, use

pytestmark = pytest.mark.django_db


def url(name="ledger", *arguments, **query):
    address = reverse(f"dashboard:{name}", args=["acme", *arguments])
    pairs = "&".join(f"{key}={value}" for key, value in query.items())
    return f"{address}?{pairs}" if pairs else address


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def lines(client, **query):
    """Return (kind, amount, balance) in dollars of each line shown."""
    found = client.get(url(**query)).context["lines"]
    return [(line.kind, line.amount_nanousd / USD, line.balance_nanousd / USD) for line in found]


def on(day, make, *arguments):
    """Let something be posted at noon of a day."""
    before = set(LedgerTransfer.objects.values_list("pk", flat=True))
    make(*arguments)
    for made in LedgerTransfer.objects.exclude(pk__in=before):
        move(made, datetime(2026, 11, day, 12, tzinfo=UTC))


def move(transfer, at):
    """Let a posting be of another moment, which the ledger's triggers forbid."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_ledgertransfer DISABLE TRIGGER USER")
        LedgerTransfer.objects.filter(pk=transfer.pk).update(created_at=at)
        cursor.execute("ALTER TABLE billing_ledgertransfer ENABLE TRIGGER USER")


def give(organization, usd):
    return factories.make_credit(organization, usd=usd)


@pytest.fixture
def three_days(acme):
    """Acme: $10 on the 1st, two calls on the 2nd, another $5 and a call on the 3rd."""
    on(1, give, acme, "10")
    on(2, use, acme, USD)
    on(2, use, acme, 2 * USD)
    on(3, give, acme, "5")
    on(3, use, acme, USD)
    return acme


DAYS = [("usage", -1, 11), ("grant", 5, 12), ("usage", -3, 7), ("grant", 10, 10)]


def test_lines_have_a_running_balance_and_calls_are_one_line_a_day(alice_client, three_days):
    assert lines(alice_client) == DAYS


def test_lines_are_the_same_once_they_are_summed_behind(alice_client, three_days):
    lots.draw(three_days.pk)
    on(3, use, three_days, USD)

    assert lines(alice_client) == [("usage", -2, 10), *DAYS[1:]]
    assert wallet.balance_nanousd(three_days) == 10 * USD


def test_filters_keep_the_balance_of_all_lines(alice_client, three_days):
    assert lines(alice_client, kind="grant") == [DAYS[1], DAYS[3]]
    assert lines(alice_client, since="2026-11-02", until="2026-11-02") == [DAYS[2]]
    assert lines(alice_client, since="nonsense", kind="nonsense", before="x") == DAYS


def test_pages_follow_each_other_without_gap(alice_client, three_days, monkeypatch):
    monkeypatch.setattr(ledger_report, "PAGE_ROWS", 1)
    found, address = [], url()
    while address:
        answer = alice_client.get(address)
        found += [line.kind for line in answer.context["lines"]]
        older = answer.context["older_url"]
        address = url() + older if older else ""

    assert found == ["usage", "grant", "usage", "grant"]


def test_a_day_opens_to_its_calls_and_these_to_their_requests(alice_client, acme, acme_key):
    give(acme, "10")
    event = factories.make_usage_event(acme_key.key, charge_nanousd=300_000)
    use(acme, 300_000)
    transfer = LedgerTransfer.objects.get(kind="usage")
    fields = {name: getattr(transfer, f"{name}_id") for name in ("debit_account", "credit_account")}
    LedgerTransfer.objects.create(
        idempotency_key=f"request:{event.request_id}",
        kind="usage",
        organization=acme,
        debit_account_id=fields["debit_account"],
        credit_account_id=fields["credit_account"],
        amount_nanousd=700_000,
        created_at=timezone.now(),
    )
    today = timezone.now().astimezone(UTC).date()
    day_url = url("ledger_calls", day=today)
    assert day_url in alice_client.get(url()).content.decode()

    answer = alice_client.get(day_url)

    words = text_of(answer)
    public_id = f"req_{ids.encode(event.request_id)}"
    request_url = reverse("dashboard:request", args=["acme", public_id])
    assert "Calls 2" in words
    assert "Taken from the wallet $0.001" in words
    assert "prod-api" in words
    assert request_url in answer.content.decode()
    assert alice_client.get(request_url).status_code == 200
    assert UsageEvent.objects.count() == 1


def test_calls_of_a_day_have_pages(alice_client, acme, monkeypatch):
    monkeypatch.setattr(ledger_report, "PAGE_ROWS", 2)
    give(acme, "10")
    for _ in range(5):
        use(acme, 1_000)
    found, query = [], ""
    while True:
        answer = alice_client.get(url("ledger_calls") + query)
        found += [row.id for row in answer.context["rows"]]
        query = answer.context["older_url"]
        if not query:
            break

    assert len(found) == len(set(found)) == 5
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("day", ["nonsense", "2026-13-01", "1999-01-01", "2026-02-30"])
def test_a_day_that_is_none_is_not_there(alice_client, day):
    assert alice_client.get(url("ledger_calls", day=day)).status_code == 404


def test_payments_open_from_their_lines(alice_client, acme, fake_stripe):
    topup = buy(fake_stripe, acme)

    html = alice_client.get(url()).content.decode()

    assert reverse("dashboard:topup", args=["acme", topup.pk]) in html


def test_lines_of_others_are_not_shown(alice_client, three_days, globex):
    give(globex, "77")
    use(globex, 3)

    assert lines(alice_client) == DAYS


# CSV


def rows(client, **query):
    answer = client.get(url("ledger_csv", **query))
    assert answer.streaming
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_csv_has_every_posting_with_exact_amounts(alice_client, three_days):
    found = rows(alice_client)

    assert [(row["kind"], row["amount_usd"], row["balance_usd"]) for row in found] == [
        ("grant", "10", "10"),
        ("usage", "-1", "9"),
        ("usage", "-2", "7"),
        ("grant", "5", "12"),
        ("usage", "-1", "11"),
    ]
    assert all(row["request"].startswith("req_") for row in found if row["kind"] == "usage")


@pytest.mark.parametrize("is_drawn", [False, True])
def test_csv_of_a_range_begins_with_the_balance_before_it(alice_client, three_days, is_drawn):
    if is_drawn:
        lots.draw(three_days.pk)

    found = rows(alice_client, since="2026-11-02", until="2026-11-02")

    assert [row["balance_usd"] for row in found] == ["9", "7"]
    assert rows(alice_client, since="2026-11-04") == []
    kinds = rows(alice_client, since="2026-11-02", kind="grant")
    assert [(row["kind"], row["balance_usd"]) for row in kinds] == [("grant", "12")]


def test_csv_is_read_in_chunks(alice_client, three_days, monkeypatch, django_assert_num_queries):
    whole = rows(alice_client)
    monkeypatch.setattr(ledger_report, "CHUNK_ROWS", 2)

    assert rows(alice_client) == whole


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_texts_are_no_formulas(alice_client, acme, sign):
    wallet.grant(
        acme,
        amount_nanousd=1,
        source=CreditLot.Source.GRANT,
        idempotency_key="k",
        reason=f"{sign}cmd|' /C calc'!A0",
    )

    [row] = rows(alice_client)

    assert row["reason"].startswith("'")
    assert row["amount_usd"] == "0.000000001"


def test_a_call_posted_at_the_last_moment_of_a_day_is_of_that_day(alice_client, acme):
    on(1, give, acme, "10")
    use(acme, USD)
    last = datetime(2026, 11, 2, 23, 59, 59, 999_999, tzinfo=UTC)
    move(LedgerTransfer.objects.get(kind="usage"), last)
    use(acme, 2 * USD)
    move(LedgerTransfer.objects.latest("pk"), last + timedelta(microseconds=1))

    assert lines(alice_client) == [("usage", -2, 7), ("usage", -1, 9), ("grant", 10, 10)]
    found = rows(alice_client, since="2026-11-02", until="2026-11-02")
    assert [row["balance_usd"] for row in found] == ["9"]
