"""Every refused request of a known key can be explained afterwards, by its id."""

from typing import Any

import pytest
from django.conf import settings

from apikeys import services as key_services
from apikeys.models import ApiKey, DisabledReason
from billing.models import RefusedRequest
from billing.read_models.request_log import parse_id
from billing.refusals import EACH_MINUTE
from exerati.lib import money
from gateway.models import Model, Route
from tests import factories
from tests.gateway import books
from tests.gateway.test_openapi import check
from tests.upstream import wait_until

DOLLAR = money.NANOUSD_PER_USD
CHAT = "/v1/chat/completions"


def recorded(answer):
    """Return the record of a refused answer once it is written."""
    wait_until(lambda: _record(answer) is not None)
    return _record(answer)


def _record(answer):
    ident = parse_id(answer.headers["x-request-id"])
    assert ident is not None
    return RefusedRequest.objects.filter(pk=ident).first()


def ask(shop, answer, *, key=""):
    path = f"/v1/generation?id={answer.headers['x-request-id']}"
    return shop.gateway.request("GET", path, key=key or shop.secret)


def told(shop, answer):
    """Return what `/v1/generation` says of a refused answer."""
    recorded(answer)
    reply = ask(shop, answer)
    check(reply, "Generation")
    found = reply.json["data"]
    assert found["status"] == "refused"
    assert (found["total_cost"], found["usage"], found["requests"]) == (0, 0, 1)
    assert (found["http_status"], found["error_code"]) == (answer.status, answer.error["code"])
    assert found["refusal"]["message"] == answer.error["message"]
    assert found["refusal"]["docs_url"] == answer.error["docs_url"]
    return found


def test_budget_that_refuses_is_told_with_every_counter(shop):
    secret = shop.make_key(budget_month_nanousd=1_000)
    answer = shop.gateway.chat(secret, model=shop.model, max_tokens=1_000)

    found = told(shop, answer)

    refusal = found["refusal"]
    assert (answer.status, refusal["code"]) == (429, "insufficient_quota")
    assert (refusal["scope"], refusal["period"]) == ("key", "month")
    assert (refusal["limit_kind"], refusal["unit"]) == ("money", "usd")
    assert (refusal["limit"], refusal["posted"], refusal["held"]) == (0.000001, 0, 0)
    assert refusal["needed"] == float(answer.error["needed_usd"])
    assert refusal["frees_at"][:19] == answer.error["frees_at"][:19]
    assert "Its owner can raise the budget." in refusal["what_to_do"]
    assert (found["model"], found["endpoint"]) == (shop.model, CHAT)


def test_empty_wallet_is_told(shop):
    poor = factories.make_organization()
    secret = factories.make_api_key(poor).secret
    answer = shop.gateway.chat(secret, model=shop.model)
    recorded(answer)

    refusal = ask(shop, answer, key=secret).json["data"]["refusal"]

    assert (refusal["scope"], refusal["period"], refusal["frees_at"]) == ("wallet", "total", None)
    assert "Add credit" in refusal["what_to_do"]
    assert ask(shop, answer).status == 404  # nobody else's


def test_rate_limit_is_told_with_limit_remaining_and_reset(shop):
    secret = shop.make_key(requests_per_minute=1)
    shop.gateway.chat(secret, model=shop.model)
    answer = shop.gateway.chat(secret, model=shop.model)

    refusal = told(shop, answer)["refusal"]

    assert (refusal["limit_kind"], refusal["unit"], refusal["period"]) == (
        "requests",
        "requests",
        "minute",
    )
    assert (refusal["limit"], refusal["remaining"], refusal["needed"]) == (1, 0, 1)
    assert refusal["frees_at"]
    books.settled(shop.organization)


def test_token_limit_smaller_than_the_call_never_frees(shop):
    secret = shop.make_key(tokens_per_minute=100)
    answer = shop.gateway.chat(secret, model=shop.model, max_tokens=5_000)

    refusal = told(shop, answer)["refusal"]

    assert (refusal["limit_kind"], refusal["limit"]) == ("tokens", 100)
    assert refusal["needed"] > 5_000
    assert refusal["frees_at"] is None


def test_request_that_is_too_dear_is_told_with_cap_and_need(shop):
    secret = shop.make_key(max_request_nanousd=10)
    answer = shop.gateway.chat(secret, model=shop.model, max_tokens=1_000)

    refusal = told(shop, answer)["refusal"]

    assert (refusal["code"], refusal["period"]) == ("request_too_dear", "request")
    assert refusal["needed"] > refusal["limit"] == 0.00000001


REFUSED: dict[str, Any] = {
    "model_not_allowed": lambda shop: (shop.make_key(model_patterns=["other"]), {}),
    "endpoint_not_allowed": lambda shop: (shop.make_key(endpoints=["embeddings"]), {}),
    "model_not_found": lambda shop: (shop.make_key(), {"model": "no-such-model"}),
    "invalid_value": lambda shop: (shop.make_key(), {"n": 0}),
    "invalid_type": lambda shop: (shop.make_key(), {"temperature": "hot"}),
    "unknown_parameter": lambda shop: (shop.make_key(strict_parameters=True), {"wibble": 1}),
    "ip_not_allowed": lambda shop: (shop.make_key(ip_allow_list=["192.0.2.1"]), {}),
}


@pytest.mark.parametrize("code", REFUSED)
def test_each_other_refusal_is_told_too(shop, code):
    secret, fields = REFUSED[code](shop)
    answer = shop.gateway.chat(secret, **{"model": shop.model, **fields})

    refusal = told(shop, answer)["refusal"]

    assert refusal["code"] == code
    assert refusal["what_to_do"]
    assert (refusal["limit_kind"], refusal["limit"]) == (None, None)


def test_body_that_is_no_json_is_told(shop):
    answer = shop.gateway.request("POST", CHAT, key=shop.secret, body=b"{")

    found = told(shop, answer)

    assert (found["error_code"], found["model"]) == ("invalid_json", None)


@pytest.mark.parametrize("change", ["disable", "revoke"])
def test_key_that_may_be_used_no_more_is_told_to_its_organization(shop, change):
    secret = shop.make_key(name=f"to {change}")
    key = ApiKey.objects.get(organization=shop.organization, name=f"to {change}")
    getattr(key_services, f"{change}_key")(key, actor=None)
    answer = shop.gateway.chat(secret, model=shop.model)

    found = told(shop, answer)

    assert found["error_code"] == f"key_{change}d"
    assert found["key"] == key.public_id


def test_model_without_a_provider_is_told(shop):
    shop.add_route()
    Route.objects.filter(model=Model.objects.get(name=shop.model)).delete()
    shop.relearn()
    answer = shop.chat()

    assert told(shop, answer)["error_code"] == "no_provider"


def test_call_that_was_admitted_and_failed_is_no_refusal(shop):
    shop.script(status=500, error={"message": "down"})
    answer = shop.chat()
    books.settled(shop.organization)
    later = shop.chat(n=0)
    recorded(later)

    assert answer.status >= 500
    assert _record(answer) is None


def test_key_nobody_knows_leaves_no_record(shop):
    unknown = shop.gateway.chat("sk-exr-live-" + "x" * 49, model=shop.model)
    recorded(shop.chat(n=0))

    assert unknown.status == 401
    assert _record(unknown) is None


def test_question_that_finds_nothing_is_no_refusal(shop):
    nothing = shop.gateway.request("GET", "/v1/generation?id=req_none", key=shop.secret)
    recorded(shop.chat(n=0))

    assert nothing.status == 404
    assert _record(nothing) is None


def test_key_that_hammers_gets_every_answer_and_few_rows(shop):
    answers = [shop.chat(n=0) for _ in range(EACH_MINUTE + 40)]

    wait_until(lambda: _requests(shop) == len(answers))

    assert {answer.status for answer in answers} == {400}
    rows = RefusedRequest.objects.filter(organization=shop.organization).count()
    assert rows <= 2 * (EACH_MINUTE + 1)  # a minute may end in between


def _requests(shop):
    rows = RefusedRequest.objects.filter(organization=shop.organization)
    return sum(rows.values_list("count", flat=True))


def test_docs_link_leads_to_this_site(shop):
    answer = shop.chat(n=0)

    assert answer.error["docs_url"].startswith(f"{settings.SITE_URL}/docs/errors#")


def test_frozen_key_is_refused_and_works_again_once_it_is_unfrozen(shop):
    secret = shop.make_key(name="to freeze")
    key = ApiKey.objects.get(organization=shop.organization, name="to freeze")
    assert shop.gateway.chat(secret, model=shop.model).status == 200

    assert key_services.freeze_key(key, reason=DisabledReason.SPIKE, details={})
    wait_until(lambda: shop.gateway.chat(secret, model=shop.model).status == 401)
    refused = shop.gateway.chat(secret, model=shop.model)
    key_services.enable_key(key, actor=None)

    assert told(shop, refused)["error_code"] == "key_disabled"
    assert "far more than usual" in refused.error["message"]
    wait_until(lambda: shop.gateway.chat(secret, model=shop.model).status == 200)
    books.settled(shop.organization, calls=2, at_least=True)
