"""Which route serves a call, what is tried after a failure, and what the answer tells of it; over real HTTP."""

import itertools
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from billing.models import Attempt, UsageEvent
from gateway.models import Model, Provider, Route
from tests import factories
from tests.gateway import books
from tests.gateway.caller import Caller
from tests.upstream import wait_until

_numbers = itertools.count(1)
MESSAGES = [{"role": "user", "content": "Hello"}]


def other_provider(shop, **fields):
    return factories.make_provider(base_url=shop.upstream.base_url, **fields)


def other_model(shop, **fields):
    """Sell one more model, by a provider of its own; return its name."""
    name = f"other-{next(_numbers)}"
    factories.make_model(name, provider=other_provider(shop), **fields)
    shop.gateway.learn(name, key=shop.secret)
    return name


def last_chunks(answer):
    lines = answer.body.split(b"\n\n")
    return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_names_its_route_and_how_many_were_tried(shop, stream):
    shop.script(status=404)
    spare = other_provider(shop)
    shop.add_route(provider=spare)

    answer = shop.chat(stream=stream)

    assert answer.headers["x-exerati-route"] == spare.name
    assert answer.headers["x-exerati-attempts"] == "2"
    assert b'"route"' not in answer.body


@pytest.mark.parametrize("by_header", [False, True])
def test_every_try_is_told_where_it_is_asked_for(shop, by_header):
    shop.script(status=404)
    spare = other_provider(shop)
    shop.add_route(provider=spare)
    body = {"model": shop.model, "messages": MESSAGES}

    answer = shop.gateway.request(
        "POST",
        "/v1/chat/completions",
        key=shop.secret,
        body=body if by_header else {**body, "include_route": True},
        headers={"x-exerati-include-route": "1"} if by_header else {},
    )

    route = answer.json["route"]
    tries = [(one["provider"], one["status"], one["error_code"]) for one in route["attempts"]]
    assert (route["provider"], route["model"]) == (spare.name, shop.model)
    assert tries == [(shop.provider.name, 404, "provider_unavailable"), (spare.name, 200, None)]
    assert "upstream" not in answer.body.decode().replace("upstream-77", "")


@pytest.mark.parametrize("path", ["chat/completions", "completions", "responses", "messages"])
def test_a_stream_tells_its_route_before_its_end(shop, path):
    body: dict[str, Any] = {
        "model": shop.model,
        "stream": True,
        "include_route": True,
        "max_tokens": 50,
    }
    prompts: dict[str, dict[str, Any]] = {
        "completions": {"prompt": "Hello"},
        "responses": {"input": "Hello", "max_tokens": None, "max_output_tokens": 50},
    }
    given = prompts.get(path, {"messages": MESSAGES})

    answer = shop.gateway.request("POST", f"/v1/{path}", key=shop.secret, body={**body, **given})

    assert answer.status == 200
    if "completions" in path:
        [told] = [chunk["route"] for chunk in last_chunks(answer) if "route" in chunk]
    else:
        [comment] = [line for line in answer.body.split(b"\n") if line.startswith(b": exerati-ro")]
        told = json.loads(comment.removeprefix(b": exerati-route "))
    assert told["provider"] == shop.provider.name


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_model_serves_under_its_own_name_and_price(shop, stream):
    other = other_model(shop)
    factories.make_price(
        other,
        input_microusd_per_mtok=1_000_000,
        output_microusd_per_mtok=2_000_000,
        effective_from=datetime(2021, 1, 1, tzinfo=UTC),
    )
    shop.relearn()
    shop.script(status=404)

    answer = shop.chat(models=[other], stream=stream)

    event = books.only(shop.organization)
    shown = last_chunks(answer)[-1] if stream else answer.json
    assert (answer.status, shown["model"]) == (200, other)
    assert event.model == other
    assert event.charge_nanousd == 9 * 1_000 + 4 * 2_000
    assert event.upper_nanousd >= 16_384 * 2_000  # held at the dearest of both
    assert event.attempts == 2
    assert [row[1] for row in books.attempts(event)] == [404, 200]


@pytest.mark.parametrize("path", ["responses", "messages"])
@pytest.mark.parametrize("stream", [False, True])
def test_every_dialect_names_the_model_that_served(shop, path, stream):
    other = other_model(shop)
    shop.script(status=404)
    body = {"model": shop.model, "models": [other], "stream": stream}
    given = {"input": "Hello"} if path == "responses" else {"messages": MESSAGES, "max_tokens": 50}

    answer = shop.gateway.request("POST", f"/v1/{path}", key=shop.secret, body={**body, **given})

    assert answer.status == 200
    assert f'"model":"{other}"' in answer.body.decode()
    assert f'"model":"{shop.model}"' not in answer.body.decode()


def test_a_list_of_models_alone_is_enough(shop):
    answer = shop.gateway.request(
        "POST",
        "/v1/chat/completions",
        key=shop.secret,
        body={"models": [shop.model], "messages": MESSAGES},
    )

    assert (answer.status, answer.json["model"]) == (200, shop.model)


def test_a_fallback_outside_the_keys_scope_is_refused_before_anything_is_sent(shop):
    other = other_model(shop)
    key = shop.make_key(model_patterns=[shop.model])

    answer = shop.gateway.chat(key, model=shop.model, models=[other])

    assert (answer.status, answer.error["code"]) == (403, "model_not_allowed")
    assert not shop.upstream.calls


@pytest.mark.parametrize(
    ("error", "served"),
    [
        ({"message": "Too long.", "code": "context_length_exceeded"}, True),
        ({"message": "Flagged.", "code": "content_policy_violation"}, True),
        ({"message": "No such field.", "code": "unknown_parameter"}, False),
    ],
)
def test_another_model_is_asked_where_it_may_do_better(shop, error, served):
    other = other_model(shop)
    shop.script(status=400, error=error)

    answer = shop.chat(models=[other])

    assert answer.status == (200 if served else 400)
    assert len(shop.upstream.calls_of(other)) == served


@pytest.mark.parametrize(
    ("wishes", "first"),
    [
        ({}, 0),
        ({"order": ["SPARE"]}, 1),
        ({"only": ["SPARE"]}, 1),
        ({"ignore": ["FIRST"]}, 1),
        ({"region": "eu"}, 1),
        ({"zdr": True}, 1),
        ({"data_collection": "deny"}, 1),
        ({"sort": "price"}, 1),
    ],
)
def test_wishes_choose_the_provider(shop, wishes, first):
    spare = other_provider(shop, zero_retention=True, no_training=True)
    name = shop.add_route(provider=spare)
    Route.objects.filter(provider=spare).update(region="eu")
    factories.make_provider_cost(spare, name)
    shop.relearn()
    names = {"SPARE": spare.name, "FIRST": shop.provider.name}
    sent = {
        field: [names[one] for one in value] if isinstance(value, list) else value
        for field, value in wishes.items()
    }

    answer = shop.chat(provider=sent)

    assert answer.headers["x-exerati-route"] == [shop.provider.name, spare.name][first]


@pytest.mark.parametrize(
    ("wishes", "param"),
    [
        ({"only": ["nobody"]}, "provider.only"),
        ({"order": ["nobody"], "allow_fallbacks": False}, "provider.order"),
        ({"region": "moon"}, "provider.region"),
        ({"zdr": True}, "provider.zdr"),
        ({"max_price": {"prompt": 0.01}}, "provider.max_price"),
    ],
)
def test_wishes_that_leave_no_route_are_refused_by_name_and_nothing_is_held(shop, wishes, param):
    answer = shop.chat(provider=wishes)

    assert (answer.status, answer.error["code"]) == (404, "no_matching_route")
    assert answer.error["param"] == param
    assert not UsageEvent.objects.filter(organization=shop.organization).exists()


def test_without_fallbacks_only_the_first_route_is_asked(shop):
    shop.script(status=404)
    shop.add_route(provider=other_provider(shop))

    answer = shop.chat(provider={"allow_fallbacks": False})

    assert answer.status == 503
    assert len(shop.upstream.calls) == 1


def test_wishes_that_are_not_served_here_are_named_as_ignored(shop):
    answer = shop.chat(provider={"quantizations": ["fp8"], "sort": None, "b\u00e4d": 1})

    assert answer.status == 200
    assert answer.headers["x-exerati-ignored-params"] == "provider.quantizations,provider.?"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provider", "openai"),
        ("provider", {"only": "openai"}),
        ("provider", {"sort": "magic"}),
        ("provider", {"zdr": "yes"}),
        ("provider", {"max_price": {"prompt": "cheap"}}),
        ("provider", {"max_price": {"prompt": 1e400}}),
        ("models", "gpt-4o"),
        ("models", [1]),
        ("models", ["m"] * 99),
        ("include_route", "yes"),
    ],
)
def test_wishes_of_the_wrong_shape_are_told(shop, field, value):
    if value == {"max_price": {"prompt": 1e400}}:
        value = {"max_price": {"prompt": "1e400"}}

    answer = shop.chat(**{field: value})

    assert answer.status == 400
    assert answer.error["param"].startswith(field)


def test_a_sticky_model_sends_each_caller_to_one_route(shop):
    for _ in range(3):
        shop.add_route(provider=other_provider(shop))
    Model.objects.filter(name=shop.model).update(strategy="sticky")
    shop.relearn()

    routes = {
        user: {shop.chat(user=user).headers["x-exerati-route"] for _ in range(4)}
        for user in ("ann", "ben", "cem", "dia", "eva", "fay")
    }

    assert all(len(found) == 1 for found in routes.values())
    assert len(set().union(*routes.values())) > 1


@pytest.mark.parametrize("status", [429, 503, 529, 500])
def test_what_was_refused_unprocessed_is_asked_for_again(shop, status):
    shop.script(status=status, once=True)

    answer = shop.chat()

    event = books.only(shop.organization)
    assert answer.status == 200
    assert [row[1] for row in books.attempts(event)][-1] == 200
    assert event.charge_nanousd == 9 * 100 + 4 * 400


@pytest.mark.parametrize(
    ("retry_after", "tries"),
    [("1", 3), ("1000000000", 1), ("60", 1), ("soon", 3)],
)
def test_retry_after_is_honoured(shop, retry_after, tries):
    shop.script(status=503, headers={"retry-after": retry_after})
    started = time.monotonic()

    answer = shop.chat()

    assert answer.status == 503
    assert len(shop.upstream.calls_of(shop.model)) == tries
    assert int(answer.headers["retry-after"]) <= 3_600
    if retry_after == "1":
        assert time.monotonic() - started >= 2  # two waits of at least what was asked


def test_retry_after_as_a_date_far_away_is_told_to_the_client_instead_of_waited_for(shop):
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    shop.script(status=503, headers={"retry-after": date})

    answer = shop.chat()

    assert len(shop.upstream.calls_of(shop.model)) == 1
    assert 500 < int(answer.headers["retry-after"]) <= 600


def test_nothing_is_sent_again_after_the_first_output(shop):
    shop.script(abort_after=2)
    shop.add_route(provider=other_provider(shop))

    answer = shop.chat(stream=True)

    assert answer.status == 200
    assert len(shop.upstream.calls) == 1


def test_what_may_have_been_processed_goes_to_another_route_only(shop):
    shop.script(abort_at="request")

    answer = shop.chat()

    assert answer.status == 502
    assert len(shop.upstream.calls) == 1


def test_a_try_that_may_have_been_processed_has_its_cost(shop):
    factories.make_provider_cost(shop.provider, shop.model)
    spare = other_provider(shop)
    name = shop.add_route(provider=spare)
    factories.make_provider_cost(spare, name)
    shop.relearn()
    shop.script(abort_at="request")

    answer = shop.chat()

    event = books.only(shop.organization)
    costs = [
        attempt.provider_cost_nanousd or 0
        for attempt in Attempt.objects.filter(request_id=event.request_id).order_by("number")
    ]
    assert answer.status == 200
    assert costs[0] > 0
    assert costs[1] == 9 * 50 + 4 * 200
    assert event.provider_cost_nanousd == sum(costs)
    assert event.charge_nanousd == 9 * 100 + 4 * 400  # the customer pays once


def test_an_outage_is_not_made_worse_by_retries(shop):
    shop.script(status=503)
    calls = 80

    for _ in range(calls):
        assert shop.chat().status == 503

    assert len(shop.upstream.calls) <= 1.2 * calls
    books.settled(shop.organization, calls=calls, seconds=30)


def test_a_route_that_fails_is_left_alone_and_asked_again_later(shop):
    shop.script(status=503, headers={"retry-after": "60"})
    spare = other_provider(shop)
    shop.add_route(provider=spare)
    while int(shop.chat().headers["x-exerati-attempts"]) > 1:
        assert len(shop.upstream.calls_of(shop.model)) < 20
    asked = len(shop.upstream.calls_of(shop.model))
    shop.chat()
    left_alone = len(shop.upstream.calls_of(shop.model)) == asked
    shop.script()

    wait_until(lambda: shop.chat().headers["x-exerati-route"] == shop.provider.name, seconds=60)

    assert left_alone
    assert shop.chat().headers["x-exerati-route"] == shop.provider.name


def test_a_sole_route_that_is_dead_is_refused_at_once_with_when_to_come_back(shop):
    shop.script(abort_at="request")
    for _ in range(5):
        shop.chat()
    asked = len(shop.upstream.calls)

    answer = shop.chat()

    assert (answer.status, answer.error["code"]) == (503, "provider_overloaded")
    assert int(answer.headers["retry-after"]) >= 1
    assert len(shop.upstream.calls) == asked
    books.settled(shop.organization, calls=6)


def test_a_full_provider_is_refused_fast_and_its_places_come_back(shop):
    Provider.objects.filter(pk=shop.provider.pk).update(max_connections=1)
    shop.relearn()
    shop.script(stall_after=1)
    caller = Caller(shop)
    caller.read_until(b"Hel")

    refused = shop.chat()
    caller.hang_up()
    shop.script()

    assert (refused.status, refused.error["code"]) == (503, "provider_overloaded")
    assert "retry-after" in refused.headers
    wait_until(lambda: shop.chat().status == 200, seconds=30)


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_ends_at_the_deadline_its_client_sets(shop, stream):
    shop.script(delay_seconds=30)

    answer = shop.gateway.request(
        "POST",
        "/v1/chat/completions",
        key=shop.secret,
        body={"model": shop.model, "messages": MESSAGES, "stream": stream},
        headers={"x-exerati-timeout": "0.3"},
    )

    event = books.only(shop.organization)
    assert (answer.status, answer.error["code"]) == (504, "deadline_exceeded")
    assert (event.outcome, event.error_code) == ("failed", "deadline_exceeded")
    assert event.charge_nanousd == event.input_tokens * 100 > 0


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "1e9"])
def test_a_deadline_that_means_nothing_is_refused(shop, value):
    answer = shop.gateway.request(
        "POST",
        "/v1/chat/completions",
        key=shop.secret,
        body={"model": shop.model, "messages": MESSAGES},
        headers={"x-exerati-timeout": value},
    )

    assert (answer.status, answer.error["param"]) == (400, "x-exerati-timeout")
