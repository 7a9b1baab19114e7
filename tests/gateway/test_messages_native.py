"""What of a Messages request goes on to Anthropic as it came, what is refused, and what it may cost at most."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from billing.types import Rates
from gateway import provider_tools, serializers, tokens
from gateway.dialects import messages_native
from gateway.dialects.messages_request import read_request
from gateway.provider_tools import PASSES
from gateway.providers.anthropic import anthropic_native, anthropic_request
from gateway.providers.anthropic.anthropic import AnthropicAdapter
from gateway.providers.base import ProviderError
from gateway.providers.google.vertex import VertexClaudeAdapter
from gateway.wire_checks import InvalidRequest
from tests.gateway.test_anthropic_request import UPSTREAM
from tests.gateway.test_messages import ASKED, LIMITS, TOOL

Json = dict[str, Any]

MARK: Json = {"type": "ephemeral", "ttl": "1h"}
SEARCH: Json = {"type": "web_search_20250305", "name": "web_search"}
FETCH: Json = {"type": "web_fetch_20250910", "name": "web_fetch"}
FINDER: Json = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
RATES = Rates(
    input_microusd_per_mtok=3_000_000,
    output_microusd_per_mtok=15_000_000,
    cache_write_5m_microusd_per_mtok=3_750_000,
    cache_write_1h_microusd_per_mtok=6_000_000,
    search_nanousd=10_000_000,
)
CONTEXT = 200_000


def call_of(*, betas="", **fields):
    """Return the checked call of a request, as the view makes it."""
    body = {**ASKED, **fields}
    chat = serializers.parse_chat(read_request(body), limits=LIMITS)
    found = messages_native.read(body, beta_header=betas)
    return replace(
        chat, native=found.native, tools_run=found.tools, ignored=chat.ignored + found.unknown
    )


def bound_of(call, *, model="claude-sonnet-4-6", context_tokens=CONTEXT):
    return tokens.chat_bound(
        call,
        model=model,
        context_tokens=context_tokens,
        max_output_tokens=None,
        key_max_output_tokens=None,
    )


def sent_to(adapter, call, *, model="claude-opus-5", stream=False):
    body = tokens.bounded_body(call, bound_of(call))
    body[anthropic_native.FIELD] = call.native
    request = adapter.chat_request(UPSTREAM, upstream_model=model, body=body, stream=stream)
    return request, json.loads(request.body)


def sent(**fields):
    return sent_to(AnthropicAdapter(), call_of(**fields))[1]


WHOLE: Json = {
    "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
    "stop_sequences": ["END"],
    "temperature": 1,
    "top_p": 0.5,
    "top_k": 3,
    "cache_control": {"type": "ephemeral"},
    "thinking": {"type": "adaptive", "display": "omitted"},
    "output_config": {
        "effort": "xhigh",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
        "task_budget": {"type": "tokens", "total": 9_000},
    },
    "context_management": {
        "edits": [{"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 3}}]
    },
    "service_tier": "standard_only",
    "inference_geo": "global",
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "tools": [
        {
            **TOOL,
            "strict": True,
            "defer_loading": True,
            "input_examples": [{"a": 1}],
            "eager_input_streaming": True,
            "allowed_callers": ["direct"],
            "cache_control": MARK,
        },
        {"type": "bash_20250124", "name": "bash"},
        {
            "type": "text_editor_20250728",
            "name": "str_replace_based_edit_tool",
            "max_characters": 9,
        },
        {
            "type": "computer_20251124",
            "name": "computer",
            "display_width_px": 800,
            "display_height_px": 600,
            "enable_zoom": True,
        },
        {"type": "memory_20250818", "name": "memory"},
        {
            **SEARCH,
            "max_uses": 2,
            "allowed_domains": ["a.example"],
            "user_location": {"type": "approximate"},
        },
        {**FETCH, "max_uses": 2, "citations": {"enabled": True}, "max_content_tokens": 5_000},
        FINDER,
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {
                    "type": "document",
                    "source": {
                        "type": "text",
                        "media_type": "text/plain",
                        "data": "Grass is green.",
                    },
                    "title": "Grass",
                    "context": "Nature",
                    "citations": {"enabled": True},
                },
                {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln+/=="},
                {"type": "redacted_thinking", "data": "cmVk"},
                {
                    "type": "server_tool_use",
                    "id": "srvtoolu_1",
                    "name": "web_search",
                    "input": {"query": "x"},
                },
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "srvtoolu_1",
                    "content": [
                        {
                            "type": "web_search_result",
                            "url": "https://a.example",
                            "encrypted_content": "e",
                        }
                    ],
                },
                {
                    "type": "text",
                    "text": "Green.",
                    "citations": [{"type": "char_location", "cited_text": "green"}],
                },
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "f",
                    "input": {"x": 1},
                    "caller": {"type": "direct"},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": True,
                    "content": [{"type": "tool_reference", "tool_name": "f"}],
                }
            ],
        },
        {"role": "system", "content": "Go on."},
    ],
}


def test_a_whole_request_reaches_anthropic_as_it_was_sent():
    body = sent(**WHOLE)

    assert body == {**WHOLE, "model": "claude-opus-5", "max_tokens": 100}


def test_the_header_and_the_stream_go_out_too():
    flags = "context-management-2025-06-27, interleaved-thinking-2025-05-14,fast-mode-2026-02-01"
    request, body = sent_to(AnthropicAdapter(), call_of(betas=flags), stream=True)

    assert dict(request.headers)["anthropic-beta"] == (
        "context-management-2025-06-27,interleaved-thinking-2025-05-14"
    )
    assert body["stream"] is True
    assert request.ignored == ()


@pytest.mark.parametrize(
    "flag",
    [
        "fast-mode-2026-02-01",
        "context-1m-2025-08-07",
        "oauth-2025-04-20",
        "files-api-2025-04-14",
        "code-execution-2025-05-22",
        "interleaved-thinking",
        "interleaved-thinking-2025-05-14\r\nx-api-key: theirs",
    ],
)
def test_beta_features_with_a_price_or_of_our_account_stay_behind(flag):
    passed, ignored = messages_native.betas(flag)

    assert (passed, ignored) == ((), (flag,))


def test_vertex_has_the_model_in_the_address_and_one_tier():
    asked = {name: WHOLE[name] for name in ("system", "service_tier", "inference_geo", "top_k")}
    request, body = sent_to(VertexClaudeAdapter(), call_of(**asked, betas="effort-2025-11-24"))

    assert body == {
        "anthropic_version": "vertex-2023-10-16",
        "system": WHOLE["system"],
        "top_k": 3,
        "messages": ASKED["messages"],
        "max_tokens": 100,
    }
    assert dict(request.headers)["anthropic-beta"] == "effort-2025-11-24"


def test_what_nobody_knows_stays_behind_and_is_named():
    call = call_of(
        diagnostics={"previous_message_id": "msg_1"},
        tools=[{**TOOL, "price": 1, "unset": None}],
        messages=[{"role": "user", "content": [{"type": "text", "text": "Hi", "parsed": {}}]}],
    )
    body = sent_to(AnthropicAdapter(), call)[1]

    assert set(call.ignored) == {"diagnostics", "tools.price", "messages.parsed"}
    assert body["tools"] == [TOOL]
    assert body["messages"][0]["content"] == [{"type": "text", "text": "Hi"}]
    assert "diagnostics" not in body


def test_files_of_our_account_are_in_no_source():
    hidden = {"type": "image", "text": "x", "source": {"type": "file", "file_id": "file_theirs"}}
    document = {"type": "document", "source": {"type": "content", "content": [hidden]}}

    body = sent(messages=[{"role": "user", "content": [document]}])

    assert "file_theirs" not in json.dumps(body)


def test_names_of_users_stay_behind():
    assert "metadata" not in sent(metadata={"user_id": "jane@a.example"})
    assert sent(metadata={"user_id": "user_0123456789abcdef"})["metadata"] == {
        "user_id": "user_0123456789abcdef"
    }


def test_thinking_of_another_providers_model_stays_behind():
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "exr1.e30"},
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "Yes"},
    ]
    found = messages_native.read(
        {**ASKED, "messages": [*ASKED["messages"], {"role": "assistant", "content": blocks}]}
    )

    assert found.native.body["messages"][1]["content"] == blocks[2:]


def test_system_messages_between_turns_are_hoisted_for_models_that_take_none():
    turns = [*ASKED["messages"], {"role": "system", "content": "Now!"}]
    call = call_of(messages=turns, system="Be brief.")

    for model in ("claude-sonnet-4-6", "claude-opus-4-7", "claude-sonnet-5"):
        old = sent_to(AnthropicAdapter(), call, model=model)[1]
        assert [block["text"] for block in old["system"]] == ["Be brief.", "Now!"]
        assert old["messages"] == ASKED["messages"]
    for model in ("claude-opus-4-8", "claude-fable-5", "claude-sonnet-5-5", "claude-haiku-5-5"):
        assert sent_to(AnthropicAdapter(), call, model=model)[1]["messages"] == turns


def test_the_toolset_of_a_browser_and_its_state():
    state = {"type": "browser_state", "tabs": [], "state_changes": [{"type": "tab_opened"}]}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [state]}
    used = {"type": "tool_use", "id": "toolu_1", "name": "left_click", "input": {}}
    asked: Json = {
        "tools": [{"type": "browser_toolset_20260801", "configs": {"zoom": {"enabled": False}}}],
        "messages": [
            *ASKED["messages"],
            {"role": "assistant", "content": [{**used, "toolset_name": "browser"}]},
            {"role": "user", "content": [{**result, "toolset_name": "browser"}]},
        ],
    }

    call = call_of(**asked)

    body = sent_to(AnthropicAdapter(), call)[1]
    assert (body["tools"], body["messages"]) == (asked["tools"], asked["messages"])
    assert call.tools_run.prompt_tokens > 8_000  # 7,550 by Anthropic's page
    assert {need.apis for need in call.native.needs} == {anthropic_native.SPEAKING}


@pytest.mark.parametrize(
    ("version", "on_vertex"), [("web_search_20250305", True), ("web_search_20260209", False)]
)
def test_newer_searches_are_not_on_vertex(version, on_vertex):
    tool = {"type": version, "name": "web_search", "allowed_callers": ["direct"]}

    native = call_of(tools=[tool]).native

    assert anthropic_native.can_say(native, anthropic_native.ANTHROPIC)
    assert anthropic_native.can_say(native, anthropic_native.VERTEX) is on_vertex


@pytest.mark.parametrize("is_result", [False, True])
def test_sources_by_address_are_for_another_route_than_vertex(is_result):
    block: Json = {"type": "image", "source": {"type": "url", "url": "https://a.example/a.png"}}
    if is_result:
        block = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    call = call_of(messages=[{"role": "user", "content": [block]}])

    with pytest.raises(ProviderError) as caught:
        sent_to(VertexClaudeAdapter(), call)

    assert (caught.value.kind, caught.value.sent, caught.value.status) == (
        "bad_request",
        False,
        400,
    )
    assert sent_to(AnthropicAdapter(), call)[1]["messages"][0]["content"] == [block]


@pytest.mark.parametrize(("budget", "written"), [(9_000, 3_999), (1_500, 1_500), (1, 1_024)])
def test_a_budget_of_thinking_stays_within_the_limit_that_was_reserved(budget, written):
    native = anthropic_native.Native(
        body={"messages": [], "thinking": {"type": "enabled", "budget_tokens": budget}}
    )
    body = {"max_completion_tokens": 4_000, anthropic_native.FIELD: native}

    made = anthropic_request.translate(body, model="claude-sonnet-4-5", stream=False)

    assert made["thinking"] == {"type": "enabled", "budget_tokens": written}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"top_k": -1}, "top_k"),
        ({"top_k": "3"}, "top_k"),
        ({"cache_control": "ephemeral"}, "cache_control"),
        ({"cache_control": {"type": "forever"}}, "cache_control.type"),
        ({"cache_control": {"type": "ephemeral", "ttl": "1y"}}, "cache_control.ttl"),
        ({"container": "container_of_another"}, "container"),
        ({"thinking": {"type": "adaptive", "budget_tokens": "x"}}, "thinking.budget_tokens"),
        ({"mcp_servers": [{"type": "url", "url": "https://a.example"}]}, "mcp_servers"),
        ({"fallbacks": [{"model": "claude-opus-5"}]}, "fallbacks"),
        ({"fallbacks": "default"}, "fallbacks"),
        ({"compaction": {}, "thread": {"type": "create"}}, "thread"),
        ({"speed": "fast"}, "speed"),
        ({"inference_geo": "us"}, "inference_geo"),
        (
            {"context_management": {"edits": [{"type": "compact_20260112"}]}},
            "context_management.edits[0].type",
        ),
        ({"tools": [{"type": "code_execution_20250825", "name": "c"}]}, "tools[0].type"),
        (
            {"tools": [{"type": "advisor_20260301", "name": "advisor", "model": "x"}]},
            "tools[0].type",
        ),
        ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, "tools[0].type"),
        ({"tools": [{"type": "web_search_20260209", "name": "w"}]}, "tools[0].allowed_callers"),
        (
            {"tools": [{**SEARCH, "allowed_callers": ["direct", "code_execution_20260120"]}]},
            "tools[0].allowed_callers",
        ),
        ({"tools": [{**SEARCH, "max_uses": 0}]}, "tools[0].max_uses"),
        ({"tools": [{**SEARCH, "max_uses": 10**9}]}, "tools[0].max_uses"),
        ({"tools": [{**SEARCH, "max_uses": "many"}]}, "tools[0].max_uses"),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": [
                            {
                                "type": "web_fetch_tool_result",
                                "tool_use_id": "s",
                                "content": {
                                    "source": {"type": "file", "file_id": "file_of_another"}
                                },
                            }
                        ],
                    }
                ]
            },
            "messages",
        ),
    ],
    ids=str,
)
def test_what_has_no_bounded_price_or_belongs_to_our_account_is_refused(fields, param):
    with pytest.raises(InvalidRequest) as caught:
        messages_native.read({**ASKED, **fields})

    assert caught.value.param == param


# Bounds


def test_searches_have_a_most_that_is_written_into_the_request():
    open_ended, named = call_of(tools=[SEARCH]), call_of(tools=[{**SEARCH, "max_uses": 2}])

    assert sent_to(AnthropicAdapter(), open_ended)[1]["tools"][0]["max_uses"] == 5
    assert sent_to(AnthropicAdapter(), named)[1]["tools"][0]["max_uses"] == 2
    assert (bound_of(open_ended).searches, bound_of(named).searches) == (5, 2)


def test_every_pass_of_a_tool_that_runs_there_is_bounded():
    plain = bound_of(call_of()).input_tokens
    searching = bound_of(call_of(tools=[{**SEARCH, "max_uses": 1}])).input_tokens
    fetching = bound_of(call_of(tools=[FETCH])).input_tokens
    finding = bound_of(call_of(tools=[FINDER])).input_tokens

    assert plain < 1_000
    assert searching > PASSES * provider_tools.SEARCH_TOKENS
    assert PASSES * CONTEXT < fetching < (PASSES + 1) * CONTEXT
    assert plain * PASSES < finding < searching


def test_a_page_of_unknown_size_needs_a_context_of_known_size():
    with pytest.raises(provider_tools.Unbounded):
        bound_of(call_of(tools=[FETCH]), context_tokens=None)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{**TOOL, "input_examples": [{"text": "x" * 5_000}]}]},
        {"tools": [{"type": "bash_20250124", "name": "bash", "input_examples": ["x" * 5_000]}]},
        {
            "context_management": {"edits": []},
            "output_config": {"task_budget": {"note": "x" * 5_000}},
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "source": {"type": "text", "media_type": "text/plain", "data": "a"},
                            "context": "x" * 5_000,
                        }
                    ],
                }
            ]
        },
    ],
    ids=["examples", "own tool", "budget", "context"],
)
def test_what_chats_do_not_say_counts_in_the_bound(more):
    assert bound_of(call_of(**more)).input_tokens > 5_000


def test_each_sentence_of_a_document_to_be_cited_counts():
    def bound(*, enabled):
        source = {"type": "text", "media_type": "text/plain", "data": "a. " * 1_000}
        document = {"type": "document", "source": source, "citations": {"enabled": enabled}}
        return bound_of(call_of(messages=[{"role": "user", "content": [document]}])).input_tokens

    assert bound(enabled=True) - bound(enabled=False) > 10 * 1_000


@pytest.mark.parametrize("ttl", ["5m", "1h"])
@pytest.mark.parametrize("place", ["request", "own tool"])
def test_a_mark_that_chats_do_not_say_lets_the_prompt_be_written_to_the_cache(place, ttl):
    mark = {"cache_control": {"type": "ephemeral", "ttl": ttl}}
    tool = {"type": "bash_20250124", "name": "bash"}
    fields: Json = mark if place == "request" else {"tools": [{**tool, **mark}]}
    bound, unmarked = bound_of(call_of(**fields)), bound_of(call_of())

    assert (
        getattr(bound, f"cache_write_{ttl}_tokens") is None
    )  # any number, up to all of the prompt
    assert getattr(unmarked, f"cache_write_{ttl}_tokens") == 0
