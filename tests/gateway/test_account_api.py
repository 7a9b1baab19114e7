"""What a key may ask about itself and about its organization's calls, and that nobody else may."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.models import ApiKey, KeyModelBudget
from billing.models import UsageEvent
from exerati.lib import ids, money
from gateway.models import Provider
from tests import factories
from tests.gateway import books
from tests.gateway.caller import Caller
from tests.upstream import wait_until

DOLLAR = money.NANOUSD_PER_USD
COST = 2_500  # nano-USD of the stand-in's ordinary answer


def ask(shop, path, *, key=""):
    return shop.gateway.request("GET", path, key=key or shop.secret)


def about_key(shop, *, key=""):
    answer = ask(shop, "/v1/key", key=key)
    assert answer.status == 200, answer.body
    return answer.json["data"]


def about_call(shop, id, *, key=""):
    return ask(shop, f"/v1/generation?id={id}", key=key)


# the key


def test_key_without_rules_has_the_limits_of_the_settings_and_no_caps(shop):
    found = about_key(shop)

    assert (found["label"], found["mode"]) == (shop.key.key.name, "live")
    assert (found["id"], found["expires_at"]) == (shop.key.key.public_id, None)
    assert (found["limit"], found["limit_remaining"], found["limit_reset"]) == (None, None, None)
    assert (found["usage"], found["budgets"]) == (0, [])
    assert found["limits"]["requests_per_minute"] == 600
    assert found["scopes"] == {"models": [], "modalities": [], "endpoints": [], "ip_allow_list": []}


def test_nothing_of_the_secret_and_nothing_of_the_wallet_is_told(shop):
    answer = ask(shop, "/v1/key")

    assert shop.secret[12:40] not in answer.body.decode()
    assert not [name for name in answer.json["data"] if "wallet" in name or "credit" in name]


def test_rules_of_a_key_are_told(shop):
    expires_at = timezone.now() + timedelta(days=1)
    secret = shop.make_key(
        requests_per_minute=7,
        tokens_per_minute=9_000,
        concurrency=3,
        max_output_tokens=50,
        max_request_nanousd=DOLLAR // 4,
        model_patterns=["chat-*"],
        endpoints=["chat.completions"],
        expires_at=expires_at,
    )

    found = about_key(shop, key=secret)

    assert found["limits"] == {
        "requests_per_minute": 7,
        "tokens_per_minute": 9_000,
        "concurrency": 3,
        "max_output_tokens": 50,
        "max_request_usd": 0.25,
    }
    assert found["scopes"]["models"] == ["chat-*"]
    assert found["scopes"]["endpoints"] == ["chat.completions"]
    assert found["expires_at"].startswith(expires_at.isoformat()[:19])


def test_usage_and_caps_follow_each_call(shop):
    secret = shop.make_key(budget_day_nanousd=DOLLAR, budget_total_nanousd=5 * DOLLAR)
    for _ in range(2):
        assert shop.gateway.chat(secret, model=shop.model).status == 200
    books.settled(shop.organization, calls=2)

    answer = ask(shop, "/v1/key", key=secret)

    found = answer.json["data"]
    spent = [found[name] for name in ("usage", "usage_daily", "usage_weekly", "usage_monthly")]
    assert spent == [2 * COST / 1e9] * 4
    assert b'"usage":0.000005,' in answer.body  # written as a person reads it
    assert (found["limit"], found["limit_reset"]) == (1, "daily")
    assert found["limit_remaining"] == pytest.approx(1 - 2 * COST / 1e9)
    day, total = found["budgets"]
    assert (day["scope"], day["period"], day["cap_usd"]) == ("key", "day", 1)
    assert (day["posted_usd"], day["held_usd"]) == (2 * COST / 1e9, 0)
    assert day["renews_at"] > timezone.now().isoformat()[:19]
    assert (total["period"], total["cap_usd"], total["renews_at"]) == ("total", 5, None)


def test_every_cap_that_binds_the_key_is_told_and_no_other(shop):
    secret = shop.make_key(budget_month_nanousd=2 * DOLLAR)
    shop.make_key(name="another", budget_day_nanousd=DOLLAR)
    key = ApiKey.objects.get(organization=shop.organization, budget_month_nanousd=2 * DOLLAR)
    KeyModelBudget.objects.create(key=key, model=shop.model, period="day", cap_nanousd=DOLLAR)
    type(shop.organization).objects.filter(pk=shop.organization.pk).update(
        budget_week_nanousd=50 * DOLLAR
    )
    type(key.project).objects.filter(pk=key.project_id).update(budget_total_nanousd=9 * DOLLAR)
    assert shop.gateway.chat(secret, model=shop.model).status == 200
    books.settled(shop.organization)

    budgets = about_key(shop, key=secret)["budgets"]

    told = {(b["scope"], b["period"], b["cap_usd"], b["model"]) for b in budgets}
    assert told == {
        ("key", "month", 2, None),
        ("key_model", "day", 1, shop.model),
        ("project", "total", 9, None),
        ("organization", "week", 50, None),
    }
    assert {budget["posted_usd"] for budget in budgets} == {COST / 1e9}


def test_cap_set_after_calls_counts_them(shop):
    shop.chat()
    books.settled(shop.organization)
    key = shop.key.key
    KeyModelBudget.objects.create(key=key, model=shop.model, period="total", cap_nanousd=DOLLAR)
    ApiKey.objects.filter(pk=key.pk).update(budget_week_nanousd=DOLLAR)

    budgets = about_key(shop)["budgets"]

    assert [budget["posted_usd"] for budget in budgets] == [COST / 1e9] * 2


def test_what_open_calls_hold_is_told(shop):
    secret = shop.make_key(budget_day_nanousd=DOLLAR)
    shop.script(stall_after=1)
    caller = Caller(shop, key=secret, max_tokens=1_000)
    caller.read_until(b"Hel")

    [budget] = about_key(shop, key=secret)["budgets"]

    assert budget["held_usd"] >= 0.0004
    assert budget["remaining_usd"] == pytest.approx(1 - budget["held_usd"])
    caller.hang_up()
    books.settled(shop.organization)


def test_test_key_has_no_caps_and_no_usage(shop):
    secret = shop.make_key(mode="test", budget_day_nanousd=DOLLAR)
    assert shop.gateway.chat(secret, model=shop.model).status == 200
    books.settled(shop.organization)

    found = about_key(shop, key=secret)

    assert (found["mode"], found["budgets"], found["usage_daily"]) == ("test", [], 0)


def test_key_that_is_out_of_calls_may_still_ask_about_itself(shop):
    secret = shop.make_key(requests_per_minute=1)
    shop.gateway.chat(secret, model=shop.model)
    assert shop.gateway.chat(secret, model=shop.model).status == 429

    assert ask(shop, "/v1/key", key=secret).status == 200
    books.settled(shop.organization)


def test_questions_are_limited_and_use_up_no_calls(shop):
    secret = shop.make_key(requests_per_minute=1)

    answers = [ask(shop, "/v1/key", key=secret) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 429]
    assert answers[1].error["code"] == "rate_limit_exceeded"
    assert shop.gateway.chat(secret, model=shop.model).status == 200
    books.settled(shop.organization)


def test_questions_cost_nothing_and_are_no_calls(shop):
    about_key(shop)
    about_call(shop, "none")

    assert not UsageEvent.objects.filter(organization=shop.organization).exists()
    assert shop.upstream.calls == []


# one call


def test_call_is_told_in_full(shop):
    Provider.objects.filter(pk=shop.provider.pk).update(title="Stand-in Inc.")
    answer = shop.chat()
    event = books.only(shop.organization)

    reply = about_call(shop, answer.json["id"])
    found = reply.json["data"]

    assert found["id"] == answer.headers["x-request-id"]
    assert (found["status"], found["outcome"], found["basis"]) == ("done", "finished", "reported")
    assert (found["http_status"], found["error_code"]) == (200, None)
    assert (found["model"], found["endpoint"]) == (shop.model, "/v1/chat/completions")
    assert (found["tokens_prompt"], found["tokens_completion"]) == (9, 4)
    assert found["tokens"]["input_tokens"] == 9
    assert b'"total_cost":0.0000025,' in reply.body
    assert found["price_formula"] == [
        "Input: 9 x $0.10 / 1M = $0.0000009",
        "Output: 4 x $0.40 / 1M = $0.0000016",
    ]
    assert (found["streamed"], found["cancelled"]) == (False, False)
    assert found["finish_reason"] == "stop"
    assert found["provider_name"] == "Stand-in Inc."
    assert found["duration_ms"] == event.duration_ms
    [attempt] = found["attempts"]
    assert (attempt["number"], attempt["provider_name"], attempt["status"]) == (
        1,
        "Stand-in Inc.",
        200,
    )
    assert found["created_at"].startswith(event.occurred_at.isoformat()[:19])


def test_no_address_and_no_cost_of_ours_is_told(shop):
    factories.make_provider_cost(shop.provider, shop.model)
    answer = shop.chat()
    books.only(shop.organization)

    told = about_call(shop, answer.json["id"]).body.decode()

    assert "127.0.0.1" not in told
    assert "provider_cost" not in told
    assert "http://" not in told


@pytest.mark.parametrize("prefix", ["req_", "chatcmpl-", "cmpl-", "resp_", "msg_", "embd-", ""])
def test_call_is_found_by_our_id_under_every_prefix(shop, prefix):
    shop.chat()
    event = books.only(shop.organization)

    answer = about_call(shop, f"{prefix}{ids.encode(event.request_id)}")

    assert answer.json["data"]["id"] == f"req_{ids.encode(event.request_id)}"


def test_call_is_found_by_the_id_of_its_provider(shop):
    shop.script(id=f"theirs-{shop.model}")
    answer = shop.chat()
    books.only(shop.organization)

    found = about_call(shop, f"theirs-{shop.model}").json["data"]

    assert found["id"] == answer.headers["x-request-id"]
    assert found["upstream_id"] == f"theirs-{shop.model}"


def test_failed_call_tells_each_attempt(shop):
    shop.add_route()
    shop.script(status=500, error={"message": "down"})

    answer = shop.chat()

    books.only(shop.organization)
    found = about_call(shop, answer.headers["x-request-id"]).json["data"]
    assert answer.status == 200
    assert [attempt["status"] for attempt in found["attempts"]] == [500, 200]
    assert found["attempts"][0]["error_code"] == "provider_error"


def test_call_that_failed_altogether_was_free(shop):
    shop.script(status=500, error={"message": "down"})

    answer = shop.chat()

    books.only(shop.organization)
    found = about_call(shop, answer.headers["x-request-id"]).json["data"]
    assert answer.status >= 500
    assert (found["outcome"], found["basis"], found["total_cost"]) == ("failed", "waived", 0)
    assert found["error_code"]


def test_call_that_is_still_open_is_running_and_then_done(shop):
    shop.script(stall_after=1)
    caller = Caller(shop)
    caller.read_until(b"Hel")
    id = json.loads(caller.read.partition(b"data: ")[2].partition(b"\n")[0])["id"]

    running = about_call(shop, id).json["data"]

    assert (running["status"], running["model"], running["streamed"]) == (
        "running",
        shop.model,
        True,
    )
    assert running["held"] > 0
    caller.hang_up()
    wait_until(lambda: about_call(shop, id).json["data"]["status"] == "done")
    assert about_call(shop, id).json["data"]["cancelled"] is True


def test_another_key_of_the_organization_may_look_and_an_outsider_may_not(shop):
    globex = factories.make_organization("Globex")
    outsider = factories.make_api_key(globex).secret
    shop.script(id=f"theirs-{shop.model}")
    answer = shop.chat()
    books.only(shop.organization)

    assert about_call(shop, answer.json["id"], key=shop.make_key()).status == 200
    for id in (answer.json["id"], f"theirs-{shop.model}"):
        hidden = about_call(shop, id, key=outsider)
        nothing = about_call(shop, "req_nobody-has-made-it", key=outsider)
        assert (hidden.status, hidden.error["code"]) == (404, "generation_not_found")
        assert {**hidden.error, "request_id": ""} == {**nothing.error, "request_id": ""}


def test_outsider_does_not_see_a_call_that_runs(shop):
    outsider = factories.make_api_key(factories.make_organization("Globex")).secret
    shop.script(stall_after=1)
    caller = Caller(shop)
    caller.read_until(b"Hel")
    id = json.loads(caller.read.partition(b"data: ")[2].partition(b"\n")[0])["id"]

    assert about_call(shop, id, key=outsider).status == 404
    caller.hang_up()
    books.settled(shop.organization)


@pytest.mark.parametrize("id", ["%00", "x" * 300, "%F0%9F%98%80", "req_", "%ff", "null", "*"])
def test_ids_that_are_none_are_not_found(shop, id):
    answer = about_call(shop, id)

    assert (answer.status, answer.error["code"]) == (404, "generation_not_found")


@pytest.mark.parametrize("query", ["", "?id=", "?id=%20", "?other=1"])
def test_id_has_to_be_given(shop, query):
    answer = ask(shop, f"/v1/generation{query}")

    assert (answer.status, answer.error["param"]) == (400, "id")
