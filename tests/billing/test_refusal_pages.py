"""Why a request was refused, found in the log and read on its page."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from billing.read_models import log_scan, refusal_log, request_log
from billing.read_models.request_log import LogFilters
from exerati.lib import money
from tests import factories

pytestmark = pytest.mark.django_db
DOLLAR = money.NANOUSD_PER_USD


@pytest.fixture
def price():
    return factories.make_price()


def text_of(answer):
    """Return the page's words without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def log(client, query=""):
    return client.get(reverse("dashboard:requests", args=["acme"]) + f"?{query}")


def open_page(client, refusal):
    public_id = request_log.public_id(refusal.request_id)
    return client.get(reverse("dashboard:request", args=["acme", public_id]))


def over_budget(key, **fields):
    values = {
        "code": "insufficient_quota",
        "status": 429,
        "limit_kind": "money",
        "scope": "key",
        "period": "month",
        "cap_nanousd": 50 * DOLLAR,
        "posted_nanousd": 49 * DOLLAR,
        "held_nanousd": DOLLAR // 2,
        "needed_nanousd": DOLLAR,
        "frees_at": timezone.now() + timedelta(days=8),
        "message": "This key's monthly budget does not cover this call. Its owner can raise the budget.",
        "advice": "Its owner can raise the budget.",
    }
    return factories.make_refusal(key, **(values | fields))


def test_refused_request_stands_in_the_log_between_the_calls(alice_client, acme_key, price):
    now = timezone.now()
    for seconds, model in ((30, "first-model"), (10, "last-model")):
        factories.make_usage_event(
            acme_key.key, price=price, model=model, occurred_at=now - timedelta(seconds=seconds)
        )
    over_budget(acme_key.key, model="middle-model", occurred_at=now - timedelta(seconds=20))

    words = text_of(log(alice_client))

    places = [words.index(model) for model in ("last-model", "middle-model", "first-model")]
    assert places == sorted(places)
    assert "insufficient_quota" in words


@pytest.mark.parametrize(
    ("query", "is_shown"),
    [
        ("status=refused", True),
        ("status=error", True),
        ("status=4xx", True),
        ("status=429", True),
        ("status=ok", False),
        ("status=5xx", False),
        ("outcome=finished", False),
        ("error=insufficient_quota", True),
        ("error=model_not_found", False),
        ("model=wanted-model", True),
        ("model=another", False),
        ("mode=test", False),
        ("range=24h", True),
    ],
)
def test_refusals_are_filtered_as_calls_are(alice_client, acme_key, query, is_shown):
    refusal = over_budget(acme_key.key, model="wanted-model")
    shown_id = request_log.public_id(refusal.request_id)

    assert (shown_id in log(alice_client, query).content.decode()) is is_shown


def test_only_refusals_are_shown_where_only_they_are_asked_for(alice_client, acme_key, price):
    factories.make_usage_event(acme_key.key, price=price, model="served-model")
    over_budget(acme_key.key, model="refused-model")

    html = log(alice_client, "status=refused").content.decode()

    assert html.count("cell-name") == 1
    assert "served-model" not in re.findall(r'cell-name"><a [^>]*>([^<]*)', html)


def test_pages_of_the_log_hold_each_row_once_in_both_directions(acme, acme_key, price, monkeypatch):
    monkeypatch.setattr(request_log, "PAGE_ROWS", 3)
    now = timezone.now()
    for number in range(11):
        at = now - timedelta(seconds=number // 2)  # pairs of the same moment
        if number % 3:
            factories.make_usage_event(acme_key.key, price=price, occurred_at=at)
        else:
            over_budget(acme_key.key, occurred_at=at)

    pages = [refusal_log.page(acme, filters=LogFilters())]
    while pages[-1].older:
        cursor = log_scan.parse_cursor(pages[-1].older, direction="older")
        pages.append(refusal_log.page(acme, filters=LogFilters(), cursor=cursor))
    back = refusal_log.page(
        acme,
        filters=LogFilters(),
        cursor=log_scan.parse_cursor(pages[1].newer, direction="newer"),
    )

    ids = [row.id for page in pages for row in page.rows]
    assert len(ids) == len(set(ids)) == 11
    assert [len(page.rows) for page in pages] == [3, 3, 3, 2]
    assert [row.id for row in back.rows] == [row.id for row in pages[0].rows]


def test_what_to_do_is_told_once(alice_client, acme_key):
    told_by_message = over_budget(acme_key.key)
    wrong = {"code": "invalid_type", "limit_kind": "", "scope": "", "status": 400}
    fault_only = factories.make_refusal(
        acme_key.key, message="'n' is no number.", advice="Correct the field in param.", **wrong
    )

    assert text_of(open_page(alice_client, told_by_message)).count("raise the budget") == 1
    assert "'n' is no number. Correct the field in param." in text_of(
        open_page(alice_client, fault_only)
    ).replace("&#x27;", "'")


def test_a_refusal_for_an_invoice_past_due_leads_to_the_invoices(alice_client, acme_key):
    refusal = over_budget(acme_key.key, code="invoice_past_due", scope="past_due", period="")

    page = open_page(alice_client, refusal).content.decode()

    assert "See the invoices" in page
    assert reverse("dashboard:invoices", args=["acme"]) in page


def test_page_of_a_refusal_tells_limit_level_counters_and_when_it_frees(alice_client, acme_key):
    refusal = over_budget(acme_key.key, affordable_tokens=350)

    answer = open_page(alice_client, refusal)

    words = text_of(answer)
    for told in (
        "insufficient_quota",
        "Monthly budget",
        "Limit: $50.00",
        "The key prod-api",
        "limit $50.00",
        "spent $49.00",
        "held by calls in progress $0.50",
        "this call could cost up to $1.00",
        "in 8 d",
        "at most 350",
        "Its owner can raise the budget.",
        "nothing was charged",
    ):
        assert told in words, told
    html = answer.content.decode()
    assert 'aria-label="spent: $49.00; held by calls in progress: $0.50;' in html
    assert reverse("dashboard:key", args=["acme", acme_key.key.public_id]) in html


def test_page_of_a_rate_limit_tells_counts(alice_client, acme_key):
    refusal = factories.make_refusal(
        acme_key.key,
        code="rate_limit_exceeded",
        status=429,
        limit_kind="tokens",
        scope="key",
        period="minute",
        limit_count=1_000_000,
        limit_remaining=200,
        limit_needed=12_000,
        frees_at=timezone.now() + timedelta(seconds=12),
    )

    words = text_of(open_page(alice_client, refusal))

    assert "Tokens a minute Limit: 1,000,000" in words
    assert "used or held 999,800 tokens" in words
    assert "this call needed 12,000 tokens" in words


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"scope": "wallet", "period": "total", "frees_at": None}, "When credit is added"),
        ({"scope": "key", "period": "total", "frees_at": None}, "When the budget is raised"),
        ({"scope": "key", "period": "request", "frees_at": None}, "larger than the limit"),
    ],
)
def test_page_says_what_frees_a_limit_that_no_clock_does(alice_client, acme_key, fields, told):
    assert told in text_of(open_page(alice_client, over_budget(acme_key.key, **fields)))


def test_refusal_that_is_no_limit_shows_message_and_parameter_alone(alice_client, acme_key):
    refusal = factories.make_refusal(
        acme_key.key, code="invalid_value", message="'n' must be at least 1.", param="n"
    )

    words = text_of(open_page(alice_client, refusal))

    assert "'n' must be at least 1." in words.replace("&#x27;", "'")
    assert "Limit:" not in words


def test_row_that_stands_for_many_says_so(alice_client, acme_key):
    refusal = factories.make_refusal(acme_key.key, count=12_345)

    assert "12,345 alike" in text_of(log(alice_client))
    assert "12,345 requests of this key" in text_of(open_page(alice_client, refusal))


def test_search_by_request_id_leads_to_the_refusal(alice_client, acme_key):
    refusal = over_budget(acme_key.key)
    shown_id = request_log.public_id(refusal.request_id)

    answer = log(alice_client, f"q={shown_id}")

    assert answer.status_code == 302
    assert answer["Location"] == reverse("dashboard:request", args=["acme", shown_id])


def test_refusal_of_another_organization_is_not_there(alice_client, globex_key):
    refusal = over_budget(globex_key.key)

    assert open_page(alice_client, refusal).status_code == 404
    assert request_log.public_id(refusal.request_id) not in log(alice_client).content.decode()


def test_log_names_the_basis_of_each_charge_with_the_reason(alice_client, acme_key, price):
    for basis in ("reported", "counted", "estimated", "waived"):
        factories.make_usage_event(acme_key.key, price=price, basis=basis)

    html = log(alice_client).content.decode()

    for basis, reason in (
        ("reported", "The token counts are the provider&#x27;s own."),
        ("counted", "Exerati counted the tokens"),
        ("estimated", "never more than the amount reserved"),
        ("waived", "Nothing is charged"),
    ):
        assert re.search(f'title="[^"]*{reason}[^"]*">{basis}<', html), basis
