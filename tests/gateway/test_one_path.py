"""
Every route of /v1 that reaches a provider passes the one admission and metering path: made from the URL table, and
counted at the provider's side.
"""

from typing import Any

import pytest

from gateway import api_urls
from gateway.api.base import MeteredView
from tests.gateway import books, media_files
from tests.gateway.media_shop import form, sell

FREE = {"count_tokens", "input_tokens"}  # counted here, never sent
MESSAGES = [{"role": "user", "content": "Hi"}]
RATES: dict[str, dict[str, int]] = {
    "chat": {"input_microusd_per_mtok": 1_000_000, "output_microusd_per_mtok": 1_000_000},
    "embedding": {"input_microusd_per_mtok": 1_000_000},
    "image": {"image_nanousd": 1_000_000},
    "speech": {"character_nanousd": 1_000_000},
    "transcription": {"second_nanousd": 1_000_000},
    "moderation": {"call_nanousd": 1_000_000},
    "rerank": {"search_nanousd": 1_000_000},
}
# Name in the URL table -> kind of model, and a body without its model.
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat_completions": ("chat", {"messages": MESSAGES}),
    "completions": ("chat", {"prompt": "Hi"}),
    "responses": ("chat", {"input": "Hi"}),
    "messages": ("chat", {"messages": MESSAGES, "max_tokens": 50}),
    "embeddings": ("embedding", {"input": "Hi"}),
    "image_generations": ("image", {"prompt": "A cat"}),
    "image_edits": ("image", {"prompt": "A cat", "file:image": media_files.picture()}),
    "speech": ("speech", {"input": "Hi", "voice": "alloy"}),
    "transcriptions": ("transcription", {"file:file": media_files.wav(1)}),
    "translations": ("transcription", {"file:file": media_files.wav(1)}),
    "moderations": ("moderation", {"input": "Hi"}),
    "rerank": ("rerank", {"query": "a", "documents": ["a", "b"]}),
}


def routes():
    return {str(pattern.name): pattern for pattern in api_urls.urlpatterns}


def view_of(pattern: Any) -> Any:
    return pattern.callback.view_class


METERED = [name for name, pattern in routes().items() if issubclass(view_of(pattern), MeteredView)]


def call(shop, name, model, *, key=""):
    body = {"model": model, **BODIES[name][1]}
    headers = {}
    sent: Any = body
    if any(field.startswith("file:") for field in body):
        parts = [
            (
                field.removeprefix("file:"),
                ("x", "x/x", value) if isinstance(value, bytes) else value,
            )
            for field, value in body.items()
        ]
        headers["content-type"], sent = form(*parts)
    path = f"/{routes()[name].pattern}"
    return shop.gateway.request("POST", path, key=key or shop.secret, body=sent, headers=headers)


def test_whatever_takes_a_post_is_metered_or_known_to_be_free():
    posts = {name for name, pattern in routes().items() if hasattr(view_of(pattern), "post")}

    assert posts - set(METERED) == FREE
    assert set(METERED) == set(BODIES)


def test_every_metered_route_has_a_scope_of_its_own():
    scopes = [view_of(routes()[name]).endpoint for name in METERED]

    assert all(scopes)
    assert len(set(scopes)) == len(scopes)


@pytest.mark.parametrize("name", METERED)
def test_each_call_at_the_provider_is_one_event_with_a_charge(shop, name):
    kind = BODIES[name][0]
    model = sell(shop, kind, **RATES[kind])

    answer = call(shop, name, model)

    assert answer.status == 200, answer.body
    event = books.only(shop.organization)
    assert len(shop.upstream.calls) == len(shop.upstream.calls_of(model)) == 1
    assert event.endpoint == view_of(routes()[name]).endpoint
    assert event.model == model
    assert event.charge_nanousd > 0
    assert answer.headers["x-request-id"].startswith("req_")
    assert "x-ratelimit-remaining-requests" in answer.headers


@pytest.mark.parametrize("name", METERED)
def test_no_route_reaches_a_provider_beyond_budget_scope_and_limits(shop, name):
    kind = BODIES[name][0]
    model = sell(shop, kind, **RATES[kind])
    endpoint = view_of(routes()[name]).endpoint
    other = next(view_of(routes()[one]).endpoint for one in METERED if one != name)
    wrong_kind = "chat" if kind != "chat" else "image"
    limited = shop.make_key(requests_per_minute=1)
    refusals = [
        ("insufficient_quota", shop.make_key(budget_total_nanousd=0)),
        ("request_too_dear", shop.make_key(max_request_nanousd=0)),
        ("endpoint_not_allowed", shop.make_key(endpoints=[other])),
        ("model_not_allowed", shop.make_key(model_patterns=["other/*"])),
        ("model_not_allowed", shop.make_key(modalities=[wrong_kind])),
    ]

    codes = [
        (code, call(shop, name, model, key=key).json["error"].get("code")) for code, key in refusals
    ]

    if name != "messages":  # Anthropic's envelope has types, no codes
        assert [found for _, found in codes] == [code for code, _ in codes]
    assert shop.upstream.calls == []
    allowed = shop.make_key(endpoints=[endpoint], modalities=[kind], model_patterns=[model])
    assert call(shop, name, model, key=allowed).status == 200
    assert call(shop, name, model, key=limited).status == 200
    assert call(shop, name, model, key=limited).status == 429
    assert len(shop.upstream.calls) == 2
    books.settled(shop.organization, calls=2)
