"""The invoices' pages: what is owed, each line with its requests, for members and nobody else."""

import csv
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from billing import plans
from billing.invoices import billing_periods
from billing.models import BillingAccount, BillingPeriod, Invoice
from tests import factories
from tests.billing.calls import Payer
from tests.billing.owing import CENT, DOLLAR, close_due, pay_afterwards, use

pytestmark = pytest.mark.django_db
JOINED = datetime(2026, 9, 1, tzinfo=UTC)
MID = datetime(2026, 9, 10, 12, tzinfo=UTC)


@pytest.fixture
def payer(acme, acme_key):
    pay_afterwards(acme, since=JOINED)
    return Payer(acme, acme_key.key, factories.make_price())


@pytest.fixture
def invoice(payer):
    """September's invoice over $12.34, open since its card was declined."""
    use(payer, 12 * DOLLAR, at=MID)
    use(payer, 34 * CENT + 5, at=MID, model="other/model")
    made = close_september(payer)
    now = made.period.period_end + timedelta(hours=2)
    Invoice.objects.filter(pk=made.pk).update(
        state="open",
        number="EXR-0007",
        stripe_id="in_7",
        hosted_url="https://pay.example/in_7",
        pdf_url="https://pay.example/in_7/pdf",
        due_at=now,
    )
    made.refresh_from_db()
    return made


def close_september(payer):
    period = BillingPeriod.objects.get(state="open")
    now = period.period_end + timedelta(hours=2)
    billing_periods.roll_over(period, now=now)
    return close_due(payer.organization, now=now)


def page_url(name, invoice):
    return reverse(f"dashboard:{name}", args=[invoice.organization.slug, invoice.public_id])


def list_url(organization):
    return reverse("dashboard:invoices", args=[organization.slug])


def test_list_shows_the_invoice_with_its_documents(alice_client, invoice):
    page = alice_client.get(list_url(invoice.organization)).content.decode()

    assert "EXR-0007" in page
    assert "$12.34" in page
    assert "https://pay.example/in_7/pdf" in page
    assert "An invoice is to be paid" in page
    assert 'aria-current="page"' in page


def test_list_shows_the_present_period_and_its_forecast(alice_client, payer):
    now = timezone.now()
    BillingPeriod.objects.update(
        period_start=now - timedelta(days=10), period_end=now + timedelta(days=20)
    )
    use(payer, 10 * DOLLAR, at=now - timedelta(days=1))

    page = alice_client.get(list_url(payer.organization)).content.decode()

    assert "Current period so far" in page
    assert "$10.00" in page
    assert "$30.00" in page  # at this pace
    assert "$90.00" in page  # free of the limit of $100


def test_list_of_who_pays_in_advance_says_so(alice_client, acme):
    page = alice_client.get(list_url(acme)).content.decode()

    assert "You pay in advance" in page


def test_list_of_a_blocked_organization_leads_to_the_page_to_pay(alice_client, invoice):
    BillingAccount.objects.update(blocked_at=timezone.now())

    page = alice_client.get(list_url(invoice.organization)).content.decode()

    assert "Calls are blocked" in page
    assert 'href="https://pay.example/in_7"' in page


def test_page_shows_lines_keys_and_what_is_carried(alice_client, invoice):
    page = alice_client.get(page_url("invoice", invoice)).content.decode()

    assert "other/model" in page
    assert "By key and project" in page
    assert "$0.000000005" in page  # carried to the next invoice


def test_each_line_opens_to_its_requests(alice_client, payer, invoice):
    use(payer, DOLLAR, at=MID, model="other/model")  # late: not of this invoice
    line = invoice.lines.get(model="other/model")
    page = alice_client.get(page_url("invoice", invoice)).content.decode()
    url = reverse("dashboard:requests", args=[payer.organization.slug])
    assert f"{url}?line={line.public_id}" in page

    log = alice_client.get(url, {"line": str(line.public_id)})

    rows = log.context["page"].rows
    assert [(row.model, row.charge_nanousd) for row in rows] == [("other/model", 34 * CENT + 5)]
    assert "One line of an invoice" in log.content.decode()


@pytest.mark.parametrize("text", ["x", "00000000-0000-4000-8000-000000000000"])
def test_line_that_is_none_shows_no_requests(alice_client, invoice, text):
    url = reverse("dashboard:requests", args=[invoice.organization.slug])

    assert alice_client.get(url, {"line": text}).context["page"].rows == ()


def test_lines_of_others_show_no_requests(charlie_client, charlie, invoice):
    own = charlie.memberships.first().organization
    line = invoice.lines.first()
    url = reverse("dashboard:requests", args=[own.slug])

    assert charlie_client.get(url, {"line": str(line.public_id)}).context["page"].rows == ()


def test_csv_has_every_line_and_key_and_adds_up(alice_client, invoice):
    answer = alice_client.get(page_url("invoice_csv", invoice))

    rows = list(csv.DictReader(answer.content.decode().splitlines()))
    assert sum(int(row["amount_cents"] or 0) for row in rows) == invoice.net_cents == 1_234
    for part in ("line", "key"):
        assert sum(int(row["nanousd"]) for row in rows if row["part"] == part) == 1_234 * CENT + 5


def test_page_and_csv_name_the_service_tier_of_a_line(alice_client, payer):
    use(payer, DOLLAR, at=MID)
    use(payer, DOLLAR, at=MID, service_tier="flex")
    made = close_september(payer)

    page = alice_client.get(page_url("invoice", made)).content.decode()
    answer = alice_client.get(page_url("invoice_csv", made))

    assert "service tier flex" in page
    rows = list(csv.DictReader(answer.content.decode().splitlines()))
    assert [row["service_tier"] for row in rows if row["class"] == "input"] == ["", "flex"]


@pytest.mark.parametrize("name", ["invoice", "invoice_csv"])
def test_invoices_of_others_are_not_there(charlie_client, charlie, invoice, name):
    own = charlie.memberships.first().organization
    foreign = reverse(f"dashboard:{name}", args=[own.slug, invoice.public_id])

    assert charlie_client.get(page_url(name, invoice)).status_code == 404
    assert charlie_client.get(foreign).status_code == 404


def test_link_without_an_organization_leads_to_ones_own_invoices(alice_client, client, acme):
    answer = alice_client.get("/dashboard/-/invoices/")

    assert answer.url == list_url(acme)
    assert client.get("/dashboard/-/invoices/").status_code == 302  # to the login
    assert alice_client.get("/dashboard/-/billing/").url == f"/dashboard/{acme.slug}/billing/"
    assert client.get("/dashboard/-/billing/").url.startswith("/login")


def test_pages_run_a_fixed_number_of_queries(
    alice_client, payer, invoice, django_assert_max_num_queries
):
    with django_assert_max_num_queries(25):
        alice_client.get(list_url(payer.organization))
    with django_assert_max_num_queries(25):
        alice_client.get(page_url("invoice", invoice))


def test_limit_of_a_postpaid_organization_is_what_was_agreed(payer):
    assert plans.account(payer.organization).credit_limit_nanousd == 100 * DOLLAR
