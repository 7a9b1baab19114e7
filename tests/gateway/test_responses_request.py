"""Requests of the Responses API as chats: items, parts, tools, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import serializers
from gateway.dialects import responses_input, responses_request
from gateway.dialects.responses import ResponsesDialect
from gateway.wire_checks import InvalidRequest

PNG = "data:image/png;base64,AAAA"
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "rain"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}


def chat(**fields):
    """Return the chat body of a request, checked as every chat is."""
    body = ResponsesDialect().chat_body({"model": "m", "input": "Hi", **fields})
    serializers.parse_chat(json.loads(json.dumps(body)), limits=serializers.ChatLimits())
    return body


def messages(*items, **fields):
    return chat(input=list(items), **fields)["messages"]


def refused(**fields):
    with pytest.raises(InvalidRequest) as caught:
        chat(**fields)
    return caught.value.param, caught.value.code


def said(text, role="user"):
    return {"role": role, "content": text}


def test_text_and_instructions():
    assert chat(instructions="Be brief.")["messages"] == [
        said("Be brief.", "system"),
        said("Hi"),
    ]


def test_parts_of_a_message():
    audio = {"data": "AAAA", "format": "wav"}
    parts = [
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "image_url": PNG, "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"},
        {"type": "input_audio", "input_audio": audio},
    ]

    [message] = messages({"type": "message", **said(parts)})

    assert message["content"] == [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"},
        },
        {"type": "input_audio", "input_audio": audio},
    ]


def test_one_turn_of_the_assistant_becomes_one_message():
    other = {**CALL, "call_id": "c2"}
    spoken = said([{"type": "output_text", "text": "I look."}], "assistant")

    found = messages(said("Hi"), spoken, CALL, other, OUTPUT, {**OUTPUT, "call_id": "c2"})

    assert [message["role"] for message in found] == ["user", "assistant", "tool", "tool"]
    assert found[1]["content"] == "I look."
    assert [call["id"] for call in found[1]["tool_calls"]] == ["c1", "c2"]
    assert found[2] == {"role": "tool", "tool_call_id": "c1", "content": "rain"}


def test_calls_after_an_output_are_a_turn_of_their_own():
    found = messages(said("Hi"), CALL, OUTPUT, {**CALL, "call_id": "c2"})

    assert [message["role"] for message in found] == ["user", "assistant", "tool", "assistant"]


def test_pictures_of_a_tool_follow_all_outputs_of_the_turn():
    picture = {**OUTPUT, "output": [{"type": "input_image", "image_url": PNG}]}
    second = {**OUTPUT, "call_id": "c2"}

    found = messages(said("Hi"), CALL, {**CALL, "call_id": "c2"}, picture, second)

    assert [message["role"] for message in found] == ["user", "assistant", "tool", "tool", "user"]
    assert found[4]["content"] == [{"type": "image_url", "image_url": {"url": PNG}}]


def test_custom_tool_call_and_its_output():
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": "SELECT"}

    found = messages(said("Hi"), call, {**OUTPUT, "type": "custom_tool_call_output"})

    assert found[1]["tool_calls"] == [
        {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "SELECT"}}
    ]
    assert found[2]["role"] == "tool"


def test_reasoning_alone_says_nothing():
    found = messages(said("Hi"), {"type": "reasoning", "id": "rs_1", "summary": []}, said("Well?"))

    assert found == [said("Hi"), said("Well?")]


def test_tools_and_choices():
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    tools = [
        {**FUNCTION, "description": "F"},
        {"type": "custom", "name": "sql", "format": grammar},
        {"type": "namespace", "name": "n", "tools": [FUNCTION]},
    ]

    body = chat(tools=tools, tool_choice={"type": "function", "name": "f", "namespace": "n"})

    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "F",
                "parameters": {"type": "object"},
                "strict": True,
            },
        },
        {
            "type": "custom",
            "custom": {
                "name": "sql",
                "format": {
                    "type": "grammar",
                    "grammar": {"syntax": "lark", "definition": "start: x"},
                },
            },
        },
        {
            "type": "function",
            "function": {"name": "n__f", "parameters": {"type": "object"}, "strict": True},
        },
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "n__f"}}


def test_allowed_tools_are_all_that_is_offered():
    tools = [FUNCTION, {**FUNCTION, "name": "g"}]
    choice = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "g"}],
    }

    body = chat(tools=tools, tool_choice=choice)

    assert [tool["function"]["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == "required"


def test_choice_among_no_tools_is_not_sent_on():
    body = chat(tool_choice="auto", parallel_tool_calls=True, tools=[])

    assert not {"tool_choice", "parallel_tool_calls", "tools"} & body.keys()


def test_formats_limits_and_reasoning():
    schema = {"type": "object"}
    written = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}

    body = chat(
        text={"format": written, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        max_output_tokens=99,
        top_logprobs=2,
        temperature=1,
        store=False,
        truncation="disabled",
        stream=True,
        stream_options={"include_obfuscation": False},
    )

    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": schema, "strict": True},
    }
    assert (body["verbosity"], body["reasoning_effort"]) == ("low", "high")
    assert (body["max_completion_tokens"], body["logprobs"], body["top_logprobs"]) == (99, True, 2)
    assert "stream_options" not in body


def test_what_nobody_reads_is_named():
    body = chat(
        client_metadata={},
        truncation="auto",
        include=["web_search_call.results"],
        reasoning={"context": "all"},
        text={"tone": "kind"},
    )

    call = serializers.parse_chat(body, limits=serializers.ChatLimits())
    assert sorted(call.ignored) == [
        "client_metadata",
        "include.web_search_call.results",
        "reasoning.context",
        "text.tone",
        "truncation",
    ]


def test_every_chat_parameter_of_another_name_is_refused():
    """One that is neither refused nor meant to pass would act behind the translation."""
    passed = set(
        "model stream temperature top_p stop frequency_penalty presence_penalty logit_bias top_logprobs seed tools"
        " tool_choice parallel_tool_calls user safety_identifier prompt_cache_key prompt_cache_retention"
        " prompt_cache_options metadata store service_tier stream_options moderation".split()
    )

    assert set(serializers._CHAT_CHECKS) - passed <= responses_request._REFUSED.keys()


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": ["x"]}, "input[0]", "invalid_type"),
        ({"input": [{}]}, "input[0].type", "missing_required_parameter"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type", "unsupported_value"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter"),
        (
            {"input": [said([{"type": "input_video"}])]},
            "input[0].content[0].type",
            "invalid_value",
        ),
        (
            {"input": [said([{"type": "input_file", "file_id": "f"}])]},
            "input[0].content[0].file_id",
            "unsupported_value",
        ),
        (
            {"input": [said([{"type": "input_image", "image_url": "file:///etc"}])]},
            "input[0].content[0].image_url",
            "invalid_value",
        ),
        ({"input": [{**CALL, "call_id": ""}]}, "input[0].call_id", "invalid_value"),
        ({"input": [{**OUTPUT, "output": None}]}, "input[0].output", "missing_required_parameter"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tools": [{"type": "mcp"}]}, "tools[0].type", "unsupported_parameter"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "invalid_type"),
        (
            {"tools": [{"type": "web_search", "external_web_access": True}]},
            "tools[0].type",
            "unsupported_parameter",
        ),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice.type", "unsupported_parameter"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", "invalid_type"),
        ({"include": "x"}, "include", "invalid_type"),
        ({"reasoning": []}, "reasoning", "invalid_type"),
        ({"n": 2}, "n", "unsupported_parameter"),
        ({"moderation": {}}, "moderation", "unsupported_parameter"),
    ],
    ids=str,
)
def test_faults_are_told_with_their_path(fields, param, code):
    assert refused(**fields) == (param, code)


odd = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "function", "auto"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from("type role content text name tools call_id output format id".split()),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
ITEM_FIELDS = "role content call_id name arguments output input namespace encrypted_content".split()
odd_items = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from([*responses_input._READERS, "other"]),
    st.dictionaries(st.sampled_from(ITEM_FIELDS), odd, max_size=5),
)
odd_parts = st.builds(
    lambda kind, role, fields: {"role": role, "content": [{"type": kind, **fields}]},
    odd | st.sampled_from(["input_text", "input_image", "input_file", "input_audio", "refusal"]),
    st.sampled_from(["user", "assistant"]),
    st.dictionaries(
        st.sampled_from("text image_url file_data file_id input_audio detail refusal".split()), odd
    ),
)


@given(
    fields=st.dictionaries(
        st.sampled_from(sorted(responses_request._OWN | {"model", "metadata", "x"})), odd
    ),
    items=st.lists(odd | odd_items | odd_parts, max_size=4),
    with_items=st.booleans(),
)
def test_whatever_comes_is_a_chat_or_refused_by_name(fields, items, with_items):
    body = {"model": "m", **fields, **({"input": items} if with_items else {})}
    fault = None
    try:
        read = ResponsesDialect().chat_body(body)
        serializers.parse_chat(read, limits=serializers.ChatLimits())
    except InvalidRequest as error:
        fault = error
    assert fault is None or (fault.param and fault.code)
