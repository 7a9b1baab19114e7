"""Anthropic's official client with Claude behind a running gateway: nothing of its API is lost, all of it is paid."""

import json
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from gateway.models import Route
from tests import factories
from tests.gateway import books
from tests.gateway.caller import Caller
from tests.gateway.conftest import SEARCH_FEE as FEE
from tests.gateway.test_anthropic_stream import end, sse, start
from tests.gateway.test_messages_native import FETCH, FINDER, SEARCH
from tests.gateway.test_messages_native_stream import DONE
from tests.gateway.test_messages_sdk import ASK, base_url_of, body_of

Json = dict[str, Any]

USAGE: Json = {
    "input_tokens": 1_000,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 40,
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    "service_tier": "standard",
}
CITED: Json = {
    "type": "web_search_result_location",
    "url": "https://a.example",
    "title": "A",
    "encrypted_index": "x",
    "cited_text": "Paris.",
}
BLOCKS: list[Json] = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [
            {
                "type": "web_search_result",
                "url": "https://a.example",
                "title": "A",
                "encrypted_content": "e",
                "page_age": None,
            }
        ],
    },
    {"type": "text", "text": "Paris.", "citations": [CITED]},
]


def message(*blocks: Json, stop_reason: str = "end_turn", usage: Json = USAGE) -> bytes:
    ends = {"stop_reason": stop_reason, "stop_sequence": None}
    head = {"id": "msg_77", "type": "message", "role": "assistant", "model": "theirs"}
    return json.dumps({**head, "content": list(blocks), **ends, "usage": usage}).encode()


def stream_of_a_search() -> bytes:
    def block(index: int, begun: Json, *deltas: Json) -> list[Json]:
        return [
            {"type": "content_block_start", "index": index, "content_block": begun},
            *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": index},
        ]

    asked = {**BLOCKS[0], "input": {}}
    typed = {"type": "input_json_delta", "partial_json": '{"query":"x"}'}
    said = {"type": "text_delta", "text": "Paris."}
    events = [
        *block(0, asked, typed),
        *block(1, BLOCKS[1]),
        *block(
            2,
            {"type": "text", "text": "", "citations": []},
            {"type": "citations_delta", "citation": CITED},
            said,
        ),
    ]
    return b"".join(sse(start(**USAGE), *events, *end("end_turn", **USAGE)))


@pytest.fixture
def client(claude):
    with Anthropic(
        base_url=base_url_of(claude), api_key=claude.secret, max_retries=0
    ) as anthropic_client:
        yield anthropic_client


def charge(usage: dict[str, Any]) -> Any:
    """Return what the usage costs at the price of the tests."""
    return (
        usage["input_tokens"] * 100
        + usage["output_tokens"] * 400
        + FEE * usage["server_tool_use"]["web_search_requests"]
    )


@pytest.mark.parametrize("streamed", [False, True])
def test_a_web_search_comes_back_whole_and_its_fee_is_paid(claude, client, streamed):
    claude.script(raw=stream_of_a_search() if streamed else message(*BLOCKS))
    asked: Any = {**ASK, "model": claude.model, "tools": [{**SEARCH, "max_uses": 3}]}

    if streamed:
        with client.messages.stream(**asked) as events:
            answer = events.get_final_message()
    else:
        answer = client.messages.create(**asked)

    assert [block.model_dump(exclude_none=True) for block in answer.content] == [
        json.loads(json.dumps(block), object_hook=without_nulls) for block in BLOCKS
    ]
    assert answer.usage.server_tool_use.web_search_requests == 2
    assert (answer.id[:4], answer.model) == ("msg_", claude.model)
    [call] = claude.upstream.calls_of(claude.model)
    assert call.body["tools"] == [{**SEARCH, "max_uses": 3}]
    event = books.only(claude.organization)
    assert (event.basis, event.charge_nanousd) == ("reported", charge(USAGE))
    if not streamed:  # the client adds up no field of ours
        assert answer.usage.cost == pytest.approx(charge(USAGE) / 1e9)


def without_nulls(found: Json) -> Json:
    return {name: value for name, value in found.items() if value is not None}


def test_searches_beyond_what_was_asked_for_are_not_paid(claude, client):
    many = {**USAGE, "server_tool_use": {"web_search_requests": 50}}
    claude.script(raw=message(*BLOCKS, usage=many))

    client.messages.create(model=claude.model, tools=[{**SEARCH, "max_uses": 1}], **ASK)

    event = books.only(claude.organization)
    assert event.charge_nanousd == charge(USAGE) - FEE
    assert event.usage_flag == "over_bound"


def test_a_paused_turn_of_nothing_but_searches_is_paid_and_can_go_on(claude, client):
    claude.script(raw=message(*BLOCKS[:2], stop_reason="pause_turn"))

    paused = client.messages.create(model=claude.model, tools=[SEARCH], **ASK)
    turns: Any = [*ASK["messages"], {"role": "assistant", "content": paused.content}]
    client.messages.create(model=claude.model, tools=[SEARCH], max_tokens=50, messages=turns)

    assert paused.stop_reason == "pause_turn"
    again = claude.upstream.calls_of(claude.model)[1].body["messages"][1]["content"]
    assert again == BLOCKS[:2]
    first, second = books.settled(claude.organization, calls=2)
    assert first.charge_nanousd == second.charge_nanousd == charge(USAGE)


def test_a_client_that_leaves_a_search_pays_what_the_provider_told(claude):
    claude.script(raw=message(*BLOCKS), delay_seconds=0.5)
    caller = Caller(claude, path="/v1/messages", stream=False, max_tokens=50, tools=[SEARCH])
    claude.upstream.wait_for(claude.model)

    caller.hang_up()

    event = books.only(claude.organization)
    assert (event.basis, event.charge_nanousd) == ("reported", charge(USAGE))


def test_the_bound_of_a_search_is_not_its_share_of_the_tokens_a_minute(claude):
    secret = claude.make_key(tokens_per_minute=300_000)
    claude.script(raw=message(*BLOCKS))
    body = {**ASK, "model": claude.model, "tools": [SEARCH]}

    answer = claude.gateway.request("POST", "/v1/messages", key=secret, body=body)

    assert answer.status == 200


def test_searches_without_a_price_are_refused(claude, client):
    factories.make_price(claude.model, effective_from=factories.LONG_AGO.replace(year=2022))
    claude.relearn()

    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model=claude.model, tools=[SEARCH], **ASK)

    assert body_of(caught)["error"]["param"] == "tools"
    assert "no price" in body_of(caught)["error"]["message"]
    assert claude.upstream.calls == []


def test_tools_and_beta_features_of_anthropics_own(claude, client):
    used = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}}
    claude.script(raw=message(used, stop_reason="tool_use"))
    tools: Any = [
        {"type": "bash_20250124", "name": "bash"},
        {
            "type": "computer_20251124",
            "name": "computer",
            "display_width_px": 8,
            "display_height_px": 6,
        },
        FINDER,
        FETCH,
    ]

    raw = client.beta.messages.with_raw_response.create(
        model=claude.model,
        tools=tools,
        betas=["computer-use-2025-11-24", "fast-mode-2026-02-01"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
        **ASK,
    )

    answer = raw.parse()
    assert answer.content[0].model_dump(exclude_none=True) == used
    [call] = claude.upstream.calls_of(claude.model)
    assert call.body["tools"] == [*tools[:3], {**FETCH, "max_uses": 5}]
    assert call.body["context_management"]["edits"] == [{"type": "clear_tool_uses_20250919"}]
    assert call.headers["anthropic-beta"] == "computer-use-2025-11-24"
    assert raw.headers["x-exerati-ignored-betas"] == "fast-mode-2026-02-01"
    assert "x-exerati-ignored-params" not in raw.headers


def test_what_else_the_provider_says_reaches_the_client(claude, client):
    usage = {
        **USAGE,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        "inference_geo": "global",
    }
    answer = json.loads(message({"type": "text", "text": "No"}, stop_reason="refusal", usage=usage))
    answer |= {"stop_details": {"type": "refusal", "category": "cyber", "explanation": "No."}}
    answer |= {"context_management": DONE["context_management"]}
    claude.script(raw=json.dumps(answer).encode())

    found = client.beta.messages.create(model=claude.model, **ASK).model_dump()

    assert found["stop_details"]["category"] == "cyber"
    assert found["context_management"] == {"applied_edits": []}
    for name in ("cache_creation", "inference_geo", "service_tier"):
        assert found["usage"][name] == usage[name]


def test_where_no_route_speaks_anthropics_api_its_tools_are_refused(shop):
    with Anthropic(base_url=base_url_of(shop), api_key=shop.secret, max_retries=0) as client:
        tools: list[Any] = [{"type": "bash_20250124", "name": "bash"}, SEARCH, FETCH]
        for tool in tools:
            with pytest.raises(anthropic.BadRequestError) as caught:
                client.messages.create(model=shop.model, tools=[tool], **ASK)
            error = body_of(caught)["error"]
            assert (error["code"], error["param"]) == ("unsupported_value", "tools[0].type")

    assert shop.upstream.calls == []


def test_the_route_that_loses_nothing_is_chosen(claude, client):
    plain = factories.make_provider(base_url=claude.upstream.base_url)
    claude.add_route(provider=plain)
    Route.objects.filter(provider=claude.provider, upstream_model=claude.model).update(priority=20)
    claude.relearn()
    claude.script(raw=message({"type": "text", "text": "Hi"}))
    source = {"type": "text", "media_type": "text/plain", "data": "Grass is green."}
    document = {"type": "document", "source": source, "citations": {"enabled": True}}
    turn: Any = {"role": "user", "content": [document]}

    client.messages.create(model=claude.model, max_tokens=50, messages=[turn])
    client.messages.create(model=claude.model, **ASK)

    assert [call.path for call in claude.upstream.calls] == ["/v1/messages", "/v1/chat/completions"]
    assert claude.upstream.calls[0].body["messages"] == [turn]


def test_test_keys_are_answered_for_claude(claude):
    secret = claude.make_key(mode="test")
    tools: Any = [{"type": "bash_20250124", "name": "bash"}, SEARCH]

    with Anthropic(base_url=base_url_of(claude), api_key=secret, max_retries=0) as client:
        answer = client.messages.create(model=claude.model, tools=tools, **ASK)

    assert answer.content
    assert claude.upstream.calls == []


def test_tokens_of_own_tools_are_counted(claude, client):
    count = client.messages.count_tokens
    plain = count(model=claude.model, messages=ASK["messages"])
    tooled = count(
        model=claude.model,
        messages=ASK["messages"],
        tools=[SEARCH, {"type": "bash_20250124", "name": "bash"}],
    )

    assert tooled.input_tokens > plain.input_tokens
