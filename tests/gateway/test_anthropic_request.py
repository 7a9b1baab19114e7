"""Every parameter of OpenAI's is translated for Anthropic, left out as a hint, or refused with its name."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import TypeAdapter

from gateway.providers import registry
from gateway.providers.base import ProviderError, Upstream

Json = dict[str, Any]
ADAPTER = registry.adapter("anthropic")
UPSTREAM = Upstream("anthropic", "anthropic", "https://a.example/v1/", "sk-ant-secret")
HI: list[Json] = [{"role": "user", "content": "Hi"}]
TOOLS: list[Json] = [
    {"type": "function", "function": {"name": name, "parameters": {"properties": {}}}}
    for name in ("f", "g")
]
PNG = "data:image/png;base64,iVBORw0="


def request(*, model: str = "claude-opus-4-6", stream: bool = False, **fields: Any):
    body = {"messages": HI, "max_completion_tokens": 4_000, **fields}
    made = ADAPTER.chat_request(UPSTREAM, upstream_model=model, body=body, stream=stream)
    return SimpleNamespace(url=made.url, headers=dict(made.headers), body=json.loads(made.body))


def sent(**fields: Any) -> Json:
    """Return the body that goes out, which the official SDK's own types must accept."""
    body: Json = request(**fields).body
    TypeAdapter[Any](MessageCreateParamsNonStreaming).validate_python(body)
    return body


def refusal(**fields: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        request(**fields)
    assert (caught.value.kind, caught.value.status, caught.value.sent) == (
        "bad_request",
        400,
        False,
    )
    return caught.value


def test_a_request_has_our_key_and_anthropics_version():
    made = request(stream=True)

    assert made.url == "https://a.example/v1/messages"
    assert made.headers == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "user-agent": "exerati/1",
        "anthropic-version": "2023-06-01",
        "x-api-key": "sk-ant-secret",
    }
    assert made.body == {
        "model": "claude-opus-4-6",
        "max_tokens": 4_000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "stream": True,
    }
    assert "stream" not in sent()


def test_instructions_are_hoisted_and_keep_their_cache_marks():
    mark = {"type": "ephemeral", "ttl": "1h"}

    body = sent(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "A", "cache_control": mark}]},
            *HI,
            {"role": "developer", "content": "B"},
        ]
    )

    assert body["system"] == [
        {"type": "text", "text": "A", "cache_control": mark},
        {"type": "text", "text": "B"},
    ]
    assert len(body["messages"]) == 1


def test_instructions_alone_become_the_turn_to_answer():
    body = sent(messages=[{"role": "system", "content": "Say hi"}])

    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Say hi"}]}]
    assert "system" not in body


def test_a_message_may_carry_the_cache_mark():
    mark = {"type": "ephemeral"}

    body = sent(messages=[{"role": "user", "content": "Hi", "cache_control": mark}])

    assert body["messages"][0]["content"] == [{"type": "text", "text": "Hi", "cache_control": mark}]


def test_parallel_tool_calls_and_their_results_stand_in_one_turn_each():
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "f", "arguments": given}}
        for n, given in enumerate(('{"a":[1,null]}', ""))
    ]
    body = sent(
        tools=TOOLS,
        messages=[
            *HI,
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "call_0", "content": "one"},
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": [{"type": "text", "text": "two"}, {"type": "text", "text": ""}],
            },
            {"role": "user", "content": "Go on"},
        ],
    )

    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert [block["input"] for block in body["messages"][1]["content"]] == [{"a": [1, None]}, {}]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "call_0", "content": "one"},
        {
            "type": "tool_result",
            "tool_use_id": "call_1",
            "content": [{"type": "text", "text": "two"}],
        },
        {"type": "text", "text": "Go on"},
    ]


@pytest.mark.parametrize("arguments", ["{", "[1]", '"a"', '{"a":NaN}'])
def test_arguments_that_are_no_object_are_refused_with_their_path(arguments):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}

    error = refusal(messages=[*HI, {"role": "assistant", "tool_calls": [call]}])

    assert error.param == "messages[1].tool_calls[0].function.arguments"


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="},
            },
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        ),
        (
            {
                "type": "file",
                "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"},
            },
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/plain;base64,R3LDvMOfZQ=="}},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"},
            },
        ),
        (
            {"type": "file", "file": {"file_data": "data:,a%20b"}},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "a b"},
            },
        ),
        (
            {"type": "file", "file": {"file_data": "https://a.example/b.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}},
        ),
    ],
)
def test_images_and_files_become_blocks(part, block):
    mark = {"cache_control": {"type": "ephemeral"}}

    body = sent(messages=[{"role": "user", "content": [part | mark]}])

    assert body["messages"][0]["content"] == [block | mark]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}, "type"),
        ({"type": "reference"}, "type"),
        ({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:nonsense"}}, "image_url.url"),
        ({"type": "file", "file": {"file_data": "data:text/csv;base64,AA"}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}}, "file.file_data"),
    ],
)
def test_parts_that_anthropic_cannot_read_are_refused_with_their_path(part, param):
    error = refusal(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, part]}])

    assert error.param == f"messages[0].content[1].{param}"


@pytest.mark.parametrize(
    ("choice", "parallel", "written"),
    [
        ("auto", None, None),
        (None, True, None),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        (
            {"type": "function", "function": {"name": "f"}},
            None,
            {"type": "tool", "name": "f"},
        ),
    ],
)
def test_the_choice_of_tools_is_translated(choice, parallel, written):
    fields = {"tool_choice": choice, "parallel_tool_calls": parallel}

    body = sent(tools=TOOLS, **{name: value for name, value in fields.items() if value is not None})

    assert body.get("tool_choice") == written
    assert [tool["name"] for tool in body["tools"]] == ["f", "g"]


def test_only_allowed_tools_are_offered():
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}

    body = sent(tools=TOOLS, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})

    assert [tool["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == {"type": "any"}


def test_a_tool_keeps_its_schema_strictness_and_cache_mark():
    function = {"name": "f", "description": "D", "parameters": {"$defs": {}}, "strict": True}
    mark = {"type": "ephemeral"}
    tool = {"type": "function", "function": function, "cache_control": mark}

    (written,) = sent(tools=[tool])["tools"]

    assert written == {
        "name": "f",
        "description": "D",
        "input_schema": {"type": "object", "$defs": {}},
        "strict": True,
        "cache_control": mark,
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"prediction": {"type": "content", "content": "a"}}, "prediction"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"verbosity": "low"}, "verbosity"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
        ({"tools": TOOLS, "tool_choice": {"type": "custom"}}, "tool_choice.type"),
    ],
)
def test_what_would_change_the_answer_is_refused_by_name(fields, param):
    error = refusal(**fields)

    assert (error.param, error.code) == (param, "unsupported_parameter")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function"}}, "tool_choice"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            "response_format.json_schema.schema",
        ),
        ({"reasoning_effort": "herculean"}, "reasoning_effort"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages"),
        (
            {"messages": [{"role": "assistant", "content": "a", "reasoning_details": "b"}]},
            "messages[0].reasoning_details",
        ),
    ],
)
def test_what_cannot_be_translated_is_refused_by_name(fields, param):
    error = refusal(**fields)

    assert (error.param, error.code) == (param, "invalid_value")


def test_hints_and_values_that_ask_for_nothing_are_left_out():
    plain = sent()

    hinted = sent(
        seed=1,
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        n=1,
        logprobs=False,
        frequency_penalty=0,
        presence_penalty=0,
        logit_bias={},
        verbosity="medium",
        temperature=1,
        top_p=1,
        modalities=["text"],
        response_format={"type": "text"},
        tool_choice="auto",
    )

    assert hinted == plain


@pytest.mark.parametrize(("asked", "written"), [(0, 0), (0.7, 0.7), (1.4, None), (2, None)])
def test_temperature_ends_at_one(asked, written):
    assert sent(temperature=asked).get("temperature") == written


def test_sampling_and_stops_are_passed_on():
    body = sent(top_p=0.5, stop="END")

    assert (body["top_p"], body["stop_sequences"]) == (0.5, ["END"])
    assert sent(stop=["a", "b"])["stop_sequences"] == ["a", "b"]


def test_a_schema_is_asked_for_beside_the_effort():
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}

    body = sent(response_format=wanted, reasoning_effort="high")

    assert body["output_config"] == {
        "effort": "high",
        "format": {"type": "json_schema", "schema": schema},
    }


@pytest.mark.parametrize(
    ("user", "goes_out"),
    [
        ("0f8fad5b-d9cb-469f-a165-70867728950e", True),
        ("9b74c9897bac770ffc029102a200c5de", True),
        ("alice@example.com", False),
        ("alice smith", False),
        ("+49 30 1234567", False),
        ("0049301234567890", False),
        ("alice", False),
    ],
)
def test_only_opaque_user_ids_go_out(user, goes_out):
    expected = {"user_id": user} if goes_out else None

    assert sent(user=user).get("metadata") == expected
    assert sent(safety_identifier=user).get("metadata") == expected


def test_the_customers_body_is_not_changed():
    messages = [{"role": "user", "content": [{"type": "text", "text": "a"}]}, *HI]
    before = json.dumps(messages)

    sent(messages=messages, tools=TOOLS, parallel_tool_calls=False)

    assert json.dumps(messages) == before
