"""Tables, numbers and lists of the documentation that are written by hand say what the code does."""

import re
from datetime import timedelta

import pytest
from django.conf import settings

from accounts import devices
from apikeys import leaks
from billing import refusals, retention
from billing.bodies import stored_bodies
from billing.invoices import billing_periods, dunning, dunning_plan
from billing.models.alerts import THRESHOLDS
from billing.payments import auto_topups
from exerati.lib import money
from gateway import errors, idempotency, serializers
from gateway.api_error import CODES
from gateway.dialects import messages_request
from gateway.documentation import docs_pages, docs_values
from gateway.idempotency import IdempotencyProblem
from gateway.media import (
    image_calls,
    moderation_calls,
    rerank_calls,
    speech_calls,
    transcription_calls,
)
from gateway.models import Model
from gateway.open_call import CallCut
from gateway.routes import retry
from gateway.routes.routing import NoRoute
from tests.mutants import sql

SAYS_NO = {"x-should-retry": "false"}
TRIED_AGAIN_BY_SDKS = {408, 409, 429} | set(range(500, 600))


def text_of(slug):
    return docs_pages.page(slug, values=docs_values.values()).markdown


def row_of(text, start):
    """Return the cells of the row of a table that begins so."""
    [line] = re.findall(rf"^\| {re.escape(start)}.*$", text, re.MULTILINE)
    return [cell.strip() for cell in line.strip("|").split("|")]


def named_in(text):
    return set(re.findall(r"`([\w-]+)`", text))


# what may be sent


PARAMETERS = {
    "chat-completions": serializers.CHAT_FIELDS,
    "embeddings": serializers._EMBEDDINGS_CHECKS,
    "messages": messages_request._TRANSLATED,
    "images": {**image_calls._GENERATION_CHECKS, **image_calls._EDIT_JSON_CHECKS},
    "audio": {**speech_calls._CHECKS, **transcription_calls._TRANSCRIPTION_CHECKS},
    "moderations": moderation_calls._CHECKS,
    "rerank": rerank_calls._CHECKS,
}


@pytest.mark.parametrize("slug", PARAMETERS)
def test_every_parameter_of_an_endpoint_is_on_its_page(slug):
    assert set(PARAMETERS[slug]) - named_in(text_of(slug)) == set()


def test_every_kind_of_model_is_told():
    assert set(Model.Kind.values) <= named_in(row_of(text_of("models"), "`name`, `desc")[1])


# what to try again


@pytest.mark.parametrize("slug", ["errors", "retries"])
def test_every_status_of_an_error_says_whether_to_try_again(slug):
    """A status stands in the first column by itself, or as all others of the 4xx."""
    rows = re.findall(r"^\| ((?:\d{3}|all other)[^|]*) \| (?:Yes|No)", text_of(slug), re.MULTILINE)
    said = " ".join(rows)

    statuses = {400} | {status for status, _ in CODES.values()}
    missing = {one for one in statuses if str(one) not in said}
    assert not {one for one in missing if one >= 500 or "all other 4xx" not in said}


@pytest.mark.parametrize("slug", ["errors", "retries"])
def test_codes_that_are_not_to_be_tried_again_are_named_where_sdks_would(slug):
    named = named_in(" ".join(re.findall(r"^\| \d{3}.*$", text_of(slug), re.MULTILINE)))

    final = {"insufficient_quota", "invoice_past_due", "idempotency_answer_lost"}
    assert final | {"no_provider", "deadline_exceeded", "idempotency_in_flight"} <= named


@pytest.mark.parametrize(
    "refusal",
    [
        IdempotencyProblem("lost"),
        NoRoute("gpt-4"),
        CallCut("deadline"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_waiting_does_not_help_tells_the_sdks(refusal):
    error = errors.from_exception(refusal)

    assert error.status in TRIED_AGAIN_BY_SDKS
    assert error.headers.items() >= SAYS_NO.items()


# what has a number


def _numbers():
    """Yield (page, sentence with the number as the code has it)."""
    yield "authentication", f"{money.display(leaks.DAY_CAP_NANOUSD)} a day"
    yield "authentication", "sk-exr-(live|test)-[0-9A-Za-z]{49}"
    yield "billing", f"after {_listed(dunning_plan.DAYS, dunning.RETRIES)} days"
    yield "billing", f"on day {dunning_plan.DAYS[dunning_plan.Step.BLOCK]} calls are refused"
    yield "billing", f"within {settings.REFUND_WINDOW_DAYS} days of the purchase"
    yield "billing", f"has used {settings.INVOICE_EARLY_PERCENT} % of the credit limit"
    assert billing_periods.GRACE == timedelta(hours=1)
    yield "billing", "Made an hour after the period ends"
    assert auto_topups.BACK_OFF == timedelta(hours=1)
    yield "billing", "After a declined card it rests for an hour"
    assert THRESHOLDS == (50, 80, 90, 100)
    yield "billing", "50, 80, 90 and 100 %"
    yield "budgets", "50, 80, 90 and 100 %"
    yield "budgets", f"{settings.ALERT_SPIKE_TIMES} times its usual"
    yield "errors", f"kept for {retention.KEEP.days} days"
    assert refusals.EACH_MINUTE == 60
    yield "errors", "sixty times a minute"
    left_out = sql.SEQUENTIAL + sql.MEMBERS + sql.PAYING + sql.TRUED_UP + sql.RACING
    yield "exactness", f"all {len(left_out)} found out"
    assert min(filter(None, stored_bodies.DAYS)) == 1
    yield "privacy", f"for 1 to {max(stored_bodies.DAYS)} days"
    yield "privacy", f"{retention.KEEP.days} days."
    yield "routing", f"more than {retry.LONGEST_WAIT_SECONDS:g} seconds are left to you"
    assert (retry.BUDGET_SHARE, retry.BUDGET_MIN_RETRIES) == (0.2, 10)
    yield "routing", "Beyond the first ten a minute, retries never make more than a fifth"
    yield "routing", f"wait up to {idempotency.WAIT_SECONDS:g} seconds for it"
    yield "routing", f"more than {idempotency.MAX_STORED_BYTES // 2**20} MiB are not kept"
    yield "streaming", f"After {settings.KEEPALIVE_SECONDS} seconds of silence the stream begins"


def _listed(days, steps):
    *first, last = (str(days[step]) for step in steps)
    return f"{', '.join(first)} and {last}"


@pytest.mark.parametrize(("slug", "words"), list(_numbers()), ids=lambda one: one[:40])
def test_number_is_that_of_the_code(slug, words):
    assert words in text_of(slug)


# what is kept in a browser


COOKIES = {
    settings.SESSION_COOKIE_NAME: "the session",
    settings.CSRF_COOKIE_NAME: "against forged forms",
    "messages": "shown once",
    "theme": "the theme",
    "rows": "rows of tables",
    devices.COOKIE: "signed in with before",
}
SETS_COOKIE = re.compile(r"set_cookie\(\s*([\w.\"]+)")


@pytest.mark.parametrize("words", list(COOKIES.values()), ids=list(COOKIES))
def test_privacy_page_names_the_cookie(words):
    assert words in text_of("privacy").partition("## Cookies")[2]


def test_there_are_no_cookies_but_those(settings):
    """Whoever sets another one adds it to the page and here."""
    found = {
        (path.name, name)
        for folder in ("exerati", "accounts", "apikeys", "billing", "gateway")
        for path in (settings.BASE_DIR / folder).rglob("*.py")
        for name in SETS_COOKIE.findall(path.read_text())
    }

    assert found == {("views.py", "name"), ("devices.py", "COOKIE")}
