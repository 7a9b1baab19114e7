"""The management API: who may read what, its pages, its errors, and its description of itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from django.utils import timezone

from apikeys.models import Endpoint
from billing import aggregation
from billing.management_api import api_urls
from billing.models import OutboxMessage
from billing.read_models import request_log
from exerati.lib import money
from tests import factories

pytestmark = pytest.mark.django_db

PATHS = ("usage", "usage/requests", "balance", "ledger", "keys")
NOW = datetime(2026, 3, 18, 15, 20, tzinfo=UTC)


@pytest.fixture
def management_key(acme):
    """A key of acme that may read the management API, and its secret."""
    return factories.make_api_key(acme, name="reader", endpoints=[Endpoint.MANAGEMENT])


@pytest.fixture
def ask(client, management_key):
    """Return a function that asks with acme's management key."""

    def get(path, *, key=management_key.secret, **query):
        return client.get(f"/api/{path}", query, headers={"authorization": f"Bearer {key}"})

    return get


@pytest.fixture
def call(acme_key):
    """Return a function that stores a settled call."""

    def store(key=None, **fields):
        event = factories.make_usage_event(key or acme_key.key, **fields)
        OutboxMessage.objects.create(
            request_id=event.request_id,
            occurred_at=event.occurred_at,
            organization=event.organization,
        )
        return event

    return store


def error_of(answer):
    return answer.json()["error"]


def walk(ask, path, **query):
    """Yield the data of every page of a list."""
    page: Any = ""
    while page is not None:
        found = ask(path, **query, **({"page": page} if page else {})).json()
        yield found["data"]
        page = found["next_page"]


# who


def test_every_endpoint_is_asked_here():
    assert {str(row.pattern) for row in api_urls.urlpatterns} == {*PATHS, "schema"}


@pytest.mark.parametrize("path", PATHS)
def test_nobody_reads_without_a_credential(client, path):
    answer = client.get(f"/api/{path}")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert error_of(answer)["code"] == "missing_api_key"


@pytest.mark.parametrize("path", PATHS)
def test_an_ordinary_key_may_not_read(ask, acme_key, path):
    answer = ask(path, key=acme_key.secret)

    assert answer.status_code == 403
    assert error_of(answer)["code"] == "endpoint_not_allowed"


@pytest.mark.parametrize(
    ("field", "word"), [("revoked_at", "revoked"), ("disabled_at", "switched off")]
)
def test_a_key_that_may_not_be_used_is_told_why(ask, management_key, field, word):
    setattr(management_key.key, field, timezone.now())
    management_key.key.save()

    answer = ask("balance")

    assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key")
    assert word in error_of(answer)["message"]


def test_keys_of_nobody_and_from_elsewhere_are_refused(ask, management_key):
    management_key.key.ip_allow_list = ["10.0.0.0/8"]
    management_key.key.save()

    assert ask("balance").status_code == 401
    assert ask("balance", key="sk-exr-live-nonsense").status_code == 401


def test_a_suspended_organization_reads_nothing(ask, acme):
    acme.suspended_at = timezone.now()
    acme.save()

    assert ask("usage").status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_member_reads_with_the_session_and_an_outsider_nothing_of_it(
    alice_client, charlie_client, acme, globex, path
):
    assert alice_client.get(f"/api/{path}").status_code == 200
    assert charlie_client.get(f"/api/{path}?organization=acme").status_code == 404
    assert alice_client.get(f"/api/{path}?organization={acme.public_id}").status_code == 200


def test_a_member_of_several_organizations_names_one(alice_client, alice, acme):
    factories.make_organization("Second", owner=alice)

    assert alice_client.get("/api/balance").status_code == 404
    found = alice_client.get("/api/balance?organization=acme").json()
    assert found["organization"] == acme.public_id


def test_there_is_no_cors_and_nothing_can_be_changed(ask, client, management_key):
    answer = ask("balance")

    assert "access-control-allow-origin" not in {name.lower() for name in answer.headers}
    assert answer["Cache-Control"] == "no-store"
    for path in PATHS:
        changed = client.post(
            f"/api/{path}", headers={"authorization": f"Bearer {management_key.secret}"}
        )
        assert changed.status_code == 405


def test_calls_keys_and_money_of_others_are_never_shown(ask, globex, globex_key, call):
    factories.make_credit(globex, usd="5")
    call(globex_key.key, tags=["a"])
    aggregation.roll_up()

    for group in ("model", "key", "project", "member", "tag", "mode"):
        found = ask("usage", group_by=group).json()
        assert [bucket for bucket in found["data"] if bucket["results"]] == []
    assert ask("usage/requests").json()["data"] == []
    assert ask("ledger").json()["data"] == []
    assert ask("balance").json()["balance_nanousd"] == 0
    names = {row["name"] for row in ask("keys").json()["data"]}
    assert names == {"reader", "prod-api"}  # acme's
    assert ask("usage", key=globex_key.secret).status_code == 403


# what


def test_usage_is_summed_by_group_and_bucket(ask, call, acme_key):
    call(model="a", charge_nanousd=5)
    aggregation.roll_up()
    call(model="b", charge_nanousd=7, tags=["x"])
    call(model="b", occurred_at=timezone.now() - timedelta(days=1), charge_nanousd=9)

    found = ask("usage", group_by="model").json()

    results = [bucket["results"] for bucket in found["data"]]
    assert len(results) == 31
    assert {row["group"]: row["charge_nanousd"] for row in results[-1]} == {"a": 5, "b": 7}
    assert results[-1][0]["charge_usd"] == money.usd_text(results[-1][0]["charge_nanousd"])
    assert results[-2][0]["charge_nanousd"] == 9
    whole = ask("usage", tag="x").json()["data"][-1]["results"]
    assert [(row["group"], row["requests"]) for row in whole] == [(None, 1)]


def test_pages_of_buckets_tile_the_range(ask, call):
    for minutes in range(10):
        call(occurred_at=timezone.now() - timedelta(minutes=7 * minutes))
    query = {
        "bucket_width": "1m",
        "limit": 25,
        "start": (timezone.now() - timedelta(minutes=90)).isoformat(),
    }

    pages = list(walk(ask, "usage", **query))

    buckets = [bucket for data in pages for bucket in data]
    assert [len(data) for data in pages] == [25, 25, 25, len(pages[-1])]
    assert all(one["end"] == other["start"] for one, other in zip(buckets, buckets[1:]))  # noqa: B905, RUF007
    assert sum(row["requests"] for bucket in buckets for row in bucket["results"]) == 10


def test_requests_are_listed_page_by_page(ask, call, monkeypatch):
    monkeypatch.setattr(request_log, "PAGE_ROWS", 2)
    made = [call(occurred_at=timezone.now() - timedelta(seconds=n)) for n in range(5)]

    seen = [row["id"] for data in walk(ask, "usage/requests") for row in data]

    assert seen == [request_log.public_id(event.request_id) for event in made]


def test_a_request_is_told_with_its_tags_and_charge(ask, call, acme_key):
    call(tags=["a", "b"], charge_nanousd=1_234, service_tier="flex")
    call(status=503, error_code="overloaded")

    [row] = ask("usage/requests", tag="a", status="ok").json()["data"]

    assert (row["tags"], row["charge_usd"]) == (["a", "b"], "0.000001234")
    assert row["key"] == acme_key.key.public_id
    assert row["service_tier"] == "flex"


def test_the_ledger_is_listed_without_row_ids(ask, acme):
    for usd in ("1", "2", "3"):
        factories.make_credit(acme, usd=usd)

    first = ask("ledger", limit=2).json()
    rest = ask("ledger", limit=2, page=first["next_page"]).json()

    amounts = [row["amount_usd"] for row in first["data"] + rest["data"]]
    assert [text.rstrip("0").rstrip(".") for text in amounts] == ["3", "2", "1"]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert {row["credit"] for row in first["data"]} == {"wallet"}


def test_keys_are_listed_without_their_secrets(ask, acme, management_key):
    made = factories.make_api_key(acme, name="capped", budget_month_nanousd=7)

    answer = ask("keys", limit=1)

    [row] = answer.json()["data"]
    assert (row["name"], row["budgets_nanousd"], row["status"]) == (
        "capped",
        {"month": 7},
        "active",
    )
    assert made.secret[20:] not in answer.content.decode()
    assert "hash" not in answer.content.decode()
    following = ask("keys", limit=1, page=answer.json()["next_page"]).json()["data"]
    assert [row["name"] for row in following] == ["reader"]


def test_the_balance_tells_wallet_and_caps(ask, acme):
    factories.make_credit(acme, usd="10")
    acme.budget_month_nanousd = 5
    acme.save()

    found = ask("balance").json()

    assert (found["balance_nanousd"], found["plan"]) == (10 * money.NANOUSD_PER_USD, "prepaid")
    assert [(row["scope"], row["cap_nanousd"]) for row in found["budgets"]] == [("organization", 5)]


# errors


@pytest.mark.parametrize(
    ("path", "query", "param"),
    [
        ("usage", {"bucket_width": "1w"}, "bucket_width"),
        ("usage", {"group_by": "colour"}, "group_by"),
        ("usage", {"limit": 401}, "limit"),
        ("usage", {"start": "soon"}, "start"),
        ("usage", {"start": "2200-01-01T00:00Z"}, "start"),
        ("usage", {"start": "0001-01-01T00:00Z", "end": "0001-01-02T00:00Z"}, "start"),
        ("usage", {"time_zone": "Mars/Base"}, "time_zone"),
        ("usage", {"time_zone": "../x"}, "time_zone"),
        ("usage", {"modle": "x"}, "modle"),
        ("usage", {"model": "a\x00"}, "model"),
        ("usage/requests", {"page": "x"}, "page"),
        ("usage/requests", {"status": "999x"}, "status"),
        ("ledger", {"page": "x"}, "page"),
        ("ledger", {"limit": 101}, "limit"),
        ("keys", {"page": "key_x"}, "page"),
    ],
)
def test_a_wrong_parameter_is_named(ask, path, query, param):
    answer = ask(path, **query)

    assert answer.status_code == 400
    assert set(error_of(answer)) == {"message", "type", "code", "param"}
    assert (error_of(answer)["code"], error_of(answer)["param"]) == ("invalid_parameter", param)


@pytest.mark.parametrize(
    ("path", "most"), [("usage", 6), ("usage/requests", 3), ("balance", 5), ("keys", 3)]
)
def test_an_endpoint_asks_the_same_number_of_queries_however_much_there_is(
    ask, acme, call, path, most, django_assert_max_num_queries
):
    for number in range(12):
        key = factories.make_api_key(acme, budget_day_nanousd=10**9).key
        call(key, model=f"model-{number}")

    with django_assert_max_num_queries(most):
        ask(path)


# the schema


@pytest.fixture(scope="module")
def schema_of():
    """Return a function that fetches the schema."""
    return lambda client: client.get("/api/schema").json()


def test_the_schema_is_openapi_and_holds_every_endpoint(client, schema_of):
    schema = schema_of(client)

    assert schema["openapi"].startswith("3.1")
    assert set(schema["paths"]) == {f"/api/{path}" for path in PATHS}
    assert set(schema["components"]["securitySchemes"]) == {"key", "session"}
    for item in schema["paths"].values():
        assert set(item) == {"get"}
        assert set(item["get"]["responses"]) == {"200", "400", "401", "403", "404"}


@pytest.mark.parametrize("path", PATHS)
def test_answers_are_as_the_schema_says(client, ask, acme, call, schema_of, path):
    factories.make_credit(acme, usd="1")
    acme.budget_day_nanousd = 5
    acme.save()
    call(tags=["a"], first_token_ms=None)
    schema = schema_of(client)

    answers = {"200": ask(path), "401": client.get(f"/api/{path}"), "400": ask(path, wrong="1")}

    for status, answer in answers.items():
        told = schema["paths"][f"/api/{path}"]["get"]["responses"][status]
        shape = told["content"]["application/json"]["schema"] | {"components": schema["components"]}
        assert answer.status_code == int(status)
        jsonschema.validate(answer.json(), shape)
