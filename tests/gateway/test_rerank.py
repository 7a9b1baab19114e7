"""Reranking in the form that Cohere, Jina and the gateways after them share."""

import pytest

from billing.types import Price, Rates
from gateway.media import rerank_calls
from gateway.models import Route
from tests import factories
from tests.gateway import books
from tests.gateway.media_shop import sell

PER_SEARCH = {"search_nanousd": 2_000_000}
BY_TOKENS = {"input_microusd_per_mtok": 50_000}
DOCUMENTS = ["Paris is in France.", {"text": "Ruby is a language."}]


def rerank(shop, model, **fields):
    body = {"model": model, "query": "ruby", "documents": DOCUMENTS, **fields}
    return shop.gateway.request("POST", "/v1/rerank", key=shop.secret, body=body)


def searches(documents, *, query="ruby", **fields):
    body = {"model": "m", "query": query, "documents": documents, **fields}
    return rerank_calls.parse_rerank(body).bound(Price(1, Rates(**PER_SEARCH))).searches


def test_documents_come_back_by_score_and_are_charged_by_the_search(shop):
    model = sell(shop, "rerank", **PER_SEARCH)

    answer = rerank(shop, model, top_n=2, return_documents=True)

    assert answer.status == 200
    assert answer.json["results"] == [
        {"index": 1, "relevance_score": 0.9, "document": {"text": "Ruby is a language."}},
        {"index": 0, "relevance_score": 0.2, "document": {"text": "Paris is in France."}},
    ]
    assert answer.json["model"] == model
    assert answer.json["id"].startswith("rrk-")
    assert answer.json["meta"] == {"billed_units": {"search_units": 1}}
    assert answer.json["usage"]["cost"] == 0.002
    assert answer.headers["x-exerati-cost-usd"] == "0.002"
    [call] = shop.upstream.calls_of(model)
    assert call.body == {
        "model": model,
        "query": "ruby",
        "documents": ["Paris is in France.", "Ruby is a language."],
        "top_n": 2,
    }
    event = books.only(shop.organization)
    assert (event.endpoint, event.usage_details) == ("rerank", {"searches": 1})
    assert event.charge_nanousd == 2_000_000


def test_tokens_are_charged_where_they_are_the_price(shop):
    model = sell(shop, "rerank", **BY_TOKENS)

    answer = rerank(shop, model)

    assert answer.json["usage"]["total_tokens"] == 40
    event = books.only(shop.organization)
    assert (event.basis, event.input_tokens, event.charge_nanousd) == ("reported", 40, 2_000)


def test_what_the_provider_does_not_tell_is_counted(shop):
    model = sell(shop, "rerank", **PER_SEARCH)
    shop.upstream.script(model, raw=b'{"results": [{"index": 0, "relevance_score": 0.5}]}')

    assert rerank(shop, model).status == 200

    event = books.only(shop.organization)
    assert (event.basis, event.charge_nanousd) == ("counted", 2_000_000)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"results": [{"index": 9, "relevance_score": 0.5}]}',
        b'{"results": [{"index": 0}]}',
        b'{"results": {}}',
        b"[]",
    ],
)
def test_answers_that_mean_nothing_are_the_provider_s_fault_and_free(shop, raw):
    model = sell(shop, "rerank", **PER_SEARCH)
    shop.upstream.script(model, raw=raw)

    answer = rerank(shop, model)

    assert (answer.status, answer.error["code"]) == (502, "provider_bad_answer")
    assert books.only(shop.organization).charge_nanousd == 0


def test_voyage_is_asked_by_its_own_word(shop):
    voyage = factories.make_provider(base_url=shop.upstream.base_url, quirks=["rerank_top_k"])
    model = sell(shop, "rerank", **BY_TOKENS)
    Route.objects.filter(model__name=model).update(provider=voyage)
    shop.relearn()
    data = b'{"data": [{"index": 0, "relevance_score": 0.7}], "usage": {"total_tokens": 43}}'
    shop.upstream.script(model, raw=data)

    answer = rerank(shop, model, top_n=1)

    assert answer.json["results"] == [{"index": 0, "relevance_score": 0.7}]
    assert shop.upstream.calls_of(model)[0].body["top_k"] == 1
    assert books.only(shop.organization).input_tokens == 43


@pytest.mark.parametrize(
    "fields",
    [
        {"documents": []},
        {"documents": ["x"] * 1_001},
        {"documents": [7]},
        {"documents": [{"title": "x"}]},
        {"query": ""},
        {"query": None},
        {"top_n": 0},
        {"return_documents": "yes"},
    ],
)
def test_requests_that_mean_nothing_are_refused(shop, fields):
    model = sell(shop, "rerank", **PER_SEARCH)

    answer = rerank(shop, model, **fields)

    assert answer.status == 400
    assert answer.error["param"].split("[")[0] in fields
    assert shop.upstream.calls_of(model) == []


def test_bound_counts_long_documents_as_several_and_a_hundred_as_one_search():
    assert searches(["short"] * 100) == 1
    assert searches(["short"] * 101) == 2
    assert searches(["x" * 4_000] * 100) == 9  # 9 pieces of 496 bytes each
    assert searches(["x" * 400_000]) == 1
    assert searches(["x" * 400_000] * 100, max_tokens_per_doc=400) == 1
    assert searches(["x" * 500] * 100, query="q" * 5_000) == 5


def test_sandbox_scores_by_the_words_of_the_query(shop):
    model, secret = sell(shop, "rerank", **PER_SEARCH), shop.make_key(mode="test")
    body = {"model": model, "query": "green tea", "documents": ["coffee", "green tea"]}

    answer = shop.gateway.request("POST", "/v1/rerank", key=secret, body=body)

    assert [result["index"] for result in answer.json["results"]] == [1, 0]
