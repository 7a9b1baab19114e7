"""OpenAI's requests as Gemini wants them: messages, media, tools, parameters, and what it cannot do refused."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.providers import registry
from gateway.providers.base import ProviderError, Upstream
from tests.gateway import recorded, recorded_gemini

Json = dict[str, Any]
ADAPTER = registry.adapter("gemini")
UPSTREAM = Upstream("gemini", "gemini", "https://g.example/v1beta/", "secret-key")
TOOL: Json = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Look up",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SKIP = "skip_thought_signature_validator"
RECORDED = [
    item
    for item in recorded_gemini.exchanges()
    if item.status == 200
    and item.request
    and "contents" in item.request
    and recorded_gemini.has_only_text_and_functions(item.request)
]
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)


def sent(*, model: str = "gemini-2.5-flash", stream: bool = False, **fields: Any) -> Any:
    body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
    request = ADAPTER.chat_request(UPSTREAM, upstream_model=model, body=body, stream=stream)
    return SimpleNamespace(
        url=request.url, headers=dict(request.headers), body=json.loads(request.body)
    )


def refusal(**fields: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        sent(**fields)
    assert (caught.value.kind, caught.value.sent) == ("bad_request", False)
    return caught.value


def parts(*content: Json) -> list[Json]:
    found: list[Json] = sent(messages=[{"role": "user", "content": list(content)}]).body[
        "contents"
    ][0]["parts"]
    return found


@needs_recordings
@pytest.mark.parametrize("exchange", RECORDED, ids=lambda exchange: exchange.name)
def test_recorded_requests_are_made_again_from_openais_form(exchange):
    chat = recorded_gemini.as_chat(exchange.request)

    mine = sent(model=exchange.model, **chat).body

    theirs = exchange.request["contents"]
    assert [content["role"] for content in mine["contents"]] == [item["role"] for item in theirs]
    for ours, other in zip(mine["contents"], theirs, strict=True):
        assert shape(ours) == shape(other)
    names = [
        item["name"] for tool in mine.get("tools", ()) for item in tool["functionDeclarations"]
    ]
    assert names == [
        item["name"]
        for tool in exchange.request.get("tools") or ()
        for item in tool["functionDeclarations"]
    ]


def shape(content: Json) -> tuple[str, list[Any], list[Any]]:
    """Return the text, the calls with signatures and the names of results of one content."""
    field = recorded_gemini.field
    found = content["parts"]
    calls = [
        (call["name"], call.get("args") or {}, field(part, "thoughtSignature"))
        for part in found
        if (call := field(part, "functionCall"))
    ]
    results = [result["name"] for part in found if (result := field(part, "functionResponse"))]
    return "".join(part.get("text", "") for part in found), calls, results


def test_the_model_stands_in_the_address_and_the_credential_in_a_header():
    request = sent()

    assert request.url == "https://g.example/v1beta/models/gemini-2.5-flash:generateContent"
    assert request.headers == {
        "content-type": "application/json",
        "accept": "application/json",
        "user-agent": "exerati/1",
        "x-goog-api-key": "secret-key",
    }
    assert sent(stream=True).url.endswith("gemini-2.5-flash:streamGenerateContent?alt=sse")


@pytest.mark.parametrize(
    "model", ["../files", "a/b", "a?key=b", "a#b", "a:generateContent", "", ".", "a%2fb", "a\n"]
)
def test_a_model_name_cannot_change_the_address(model):
    with pytest.raises(ProviderError) as caught:
        sent(model=model)

    assert (caught.value.kind, caught.value.sent) == ("not_found", False)


def test_instructions_go_before_the_conversation():
    body = sent(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": "Bye"},
        ]
    ).body

    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert [(item["role"], item["parts"][0]["text"]) for item in body["contents"]] == [
        ("user", "Hi"),
        ("model", "Hello"),
        ("user", "Bye"),
    ]


def test_instructions_alone_are_the_users_turn():
    body = sent(messages=[{"role": "system", "content": "Say hi."}]).body

    assert body["contents"] == [{"role": "user", "parts": [{"text": "Say hi."}]}]
    assert "systemInstruction" not in body


def called(*ids: str, **fields: Any) -> Json:
    calls = [
        {"id": call_id, "type": "function", "function": {"name": f"f{call_id}", "arguments": ""}}
        for call_id in ids
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls, **fields}


def result(call_id: str, content: Any = "ok") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_results_of_parallel_calls_go_into_one_content_by_name():
    messages = [
        {"role": "user", "content": "Hi"},
        called("1", "2"),
        result("2", '{"a": 1}'),
        result("1", [{"type": "text", "text": "o"}, {"type": "text", "text": "k"}]),
        {"role": "user", "content": "And?"},
    ]

    contents = sent(messages=messages).body["contents"]

    assert [content["role"] for content in contents] == ["user", "model", "user", "user"]
    assert contents[1]["parts"][0] == {"functionCall": {"id": "1", "name": "f1", "args": {}}}
    assert [part["functionResponse"] for part in contents[2]["parts"]] == [
        {"id": "2", "name": "f2", "response": {"output": '{"a": 1}'}},
        {"id": "1", "name": "f1", "response": {"output": "ok"}},
    ]


def test_signatures_are_sent_back_where_they_were():
    message = called("1", "2", content="Let me look.")
    message["extra_content"] = {"google": {"thought_signature": "of+text/=="}}
    message["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "of+call/=="}}

    found = sent(messages=[message], model="gemini-3-flash-preview").body["contents"][0]["parts"]

    assert [part.get("thoughtSignature") for part in found] == ["of+text/==", "of+call/==", None]
    assert found[0]["text"] == "Let me look."


def test_calls_that_gemini_did_not_make_are_marked_as_such_where_it_insists():
    messages = [{"role": "user", "content": "Hi"}, called("1", "2"), result("1"), result("2")]

    new = sent(messages=messages, model="gemini-3-flash-preview").body["contents"][1]["parts"]
    latest = sent(messages=messages, model="gemini-flash-latest").body["contents"][1]["parts"]
    old = sent(messages=messages, model="gemini-2.5-pro").body["contents"][1]["parts"]

    assert [part.get("thoughtSignature") for part in new] == [SKIP, None]
    assert [part.get("thoughtSignature") for part in latest] == [SKIP, None]
    assert [part.get("thoughtSignature") for part in old] == [None, None]


def test_reasoning_of_others_and_empty_texts_are_not_sent():
    message = {"role": "assistant", "content": "", "reasoning_content": "Hmm", "refusal": "No."}

    contents = sent(
        messages=[{"role": "user", "content": "Hi"}, message, {"role": "assistant", "content": ""}]
    ).body["contents"]

    assert contents[1:] == [{"role": "model", "parts": [{"text": "No."}]}]


def test_media_go_inside_the_request():
    assert parts(
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "input_audio", "input_audio": {"format": "mp3", "data": "BB=="}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,CC=="}},
        {"type": "file", "file": {"file_data": "DD==", "filename": "notes.TXT"}},
    ) == [
        {"text": "Look"},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"inlineData": {"mimeType": "audio/mp3", "data": "BB=="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "CC=="}},
        {"inlineData": {"mimeType": "text/plain", "data": "DD=="}},
    ]


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://pictures.example/a/b.PNG?size=9", "image/png"),
        ("http://pictures.example/latest", "image/jpeg"),
        ("https://storage.googleapis.com/bucket/cat.webp", "image/webp"),
    ],
)
def test_google_fetches_public_addresses_of_images(url, kind):
    assert parts({"type": "image_url", "image_url": {"url": url}}) == [
        {"fileData": {"mimeType": kind, "fileUri": url}}
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://generativelanguage.googleapis.com/v1beta/files/abc",
        "https://GENERATIVELANGUAGE.googleapis.com./v1beta/files/abc",
        "https://pictures.example@generativelanguage.googleapis.com/v1beta/files/abc",
        "https://pictures.example\\@generativelanguage.googleapis.com/a.png",
        "https://www.youtube.com/watch?v=1",
        "https://youtu.be/1",
        "https://",
        "https://[::1",
        "https://pictures.example/film.pdf",
        "data:video/mp4;base64,AA==",
        "data:image/png,plain",
        "data:;base64,AA==",
    ],
)
def test_an_image_that_is_none_or_would_be_read_with_our_rights_is_refused(url):
    content = [{"type": "image_url", "image_url": {"url": url}}]

    error = refusal(messages=[{"role": "user", "content": content}])

    assert error.param == "messages[0].content[0].image_url.url"


def test_parameters_have_geminis_names():
    config = sent(
        max_completion_tokens=9,
        temperature=0.5,
        top_p=0.9,
        n=2,
        seed=2**31 + 5,
        stop="END",
        frequency_penalty=0.1,
        presence_penalty=-0.1,
        logprobs=True,
        top_logprobs=3,
        user="u",
        prompt_cache_key="k",
    ).body["generationConfig"]

    assert config == {
        "maxOutputTokens": 9,
        "temperature": 0.5,
        "topP": 0.9,
        "candidateCount": 2,
        "seed": 5,
        "stopSequences": ["END"],
        "frequencyPenalty": 0.1,
        "presencePenalty": -0.1,
        "responseLogprobs": True,
        "logprobs": 3,
    }


def test_answers_in_json_are_asked_for_by_schema():
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"const": {"const": "x"}, "many": {"items": {"anyOf": [{"const": 1}]}}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}

    plain = sent(response_format={"type": "json_object"}).body["generationConfig"]
    typed = sent(response_format=form).body["generationConfig"]

    assert plain == {"responseMimeType": "application/json"}
    assert typed["responseJsonSchema"] == {
        "type": "object",
        "properties": {"const": {"enum": ["x"]}, "many": {"items": {"anyOf": [{"enum": [1]}]}}},
    }
    assert sent(response_format={"type": "text"}).body["generationConfig"] == {}


def test_tools_are_declared_with_their_own_schema():
    bare = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}

    body = sent(tools=[TOOL, bare]).body

    assert body["tools"][0]["functionDeclarations"] == [
        {
            "name": "weather",
            "description": "Look up",
            "parametersJsonSchema": TOOL["function"]["parameters"],
        },
        {"name": "now", "description": ""},
    ]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}


NAMED = {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("none", {"mode": "NONE"}),
        ("auto", {"mode": "AUTO"}),
        ("required", {"mode": "ANY"}),
        (NAMED, {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_the_choice_of_tools_is_translated(choice, config):
    body = sent(tools=[TOOL], tool_choice=choice).body

    assert body["toolConfig"]["functionCallingConfig"] == config


def test_strict_tools_are_held_to_their_schema():
    strict = {**TOOL, "function": {**TOOL["function"], "strict": True}}

    config = sent(tools=[strict]).body["toolConfig"]["functionCallingConfig"]

    assert config == {"mode": "VALIDATED"}


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-pro", "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-2.0-flash", "none", None),
        (
            "gemini-3-flash-preview",
            "minimal",
            {"thinkingLevel": "minimal", "includeThoughts": True},
        ),
        ("gemini-3.1-pro-preview", "minimal", {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-4-argon", "xhigh", {"thinkingLevel": "xhigh", "includeThoughts": True}),
        ("gemini-flash-latest", "medium", {"thinkingLevel": "medium", "includeThoughts": True}),
    ],
)
def test_effort_is_a_budget_before_gemini_3_and_a_level_after(model, effort, config):
    found = sent(model=model, reasoning_effort=effort).body["generationConfig"]

    assert found.get("thinkingConfig") == config


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("gemini-2.0-flash", "low"),
        ("gemini-2.5-pro", "none"),
        ("gemini-2.5-flash", "xhigh"),
        ("gemini-3-flash-preview", "none"),
        ("gemini-3-flash-preview", "much"),
    ],
)
def test_effort_that_the_model_has_not_is_refused(model, effort):
    assert refusal(model=model, reasoning_effort=effort).param == "reasoning_effort"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"prediction": {"type": "content", "content": "a"}}, "prediction"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"verbosity": "low"}, "verbosity"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
        ({"n": 9}, "n"),
        ({"stop": list("abcdef")}, "stop"),
        ({"messages": [result("lost")]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "function", "name": "f", "content": "a"}]}, "messages[0]"),
        (
            {
                "messages": [
                    called("1"),
                    result("1", [{"type": "image_url", "image_url": {"url": "data:"}}]),
                ]
            },
            "messages[1].content[0].type",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_audio", "input_audio": {"format": "x", "data": ""}}
                        ],
                    }
                ]
            },
            "messages[0].content[0].input_audio.format",
        ),
    ],
)
def test_what_gemini_cannot_do_is_refused_before_it_is_sent(fields, param):
    assert refusal(**fields).param == param


@pytest.mark.parametrize("arguments", ["[1]", "{", "7"])
def test_arguments_must_be_an_object(arguments):
    message = called("1")
    message["tool_calls"][0]["function"]["arguments"] = arguments

    error = refusal(messages=[message])

    assert error.param == "messages[0].tool_calls[0].function.arguments"


def test_harmless_defaults_are_not_refused():
    body = sent(verbosity="medium", parallel_tool_calls=False, logit_bias={}, tool_choice="auto")

    assert body.body["generationConfig"] == {}


def test_a_request_does_not_change_the_customers_body():
    message = called("1", content="a")
    message["extra_content"] = {"google": {"thought_signature": "s"}}
    body = {"messages": [{"role": "user", "content": "Hi"}, message, result("1")], "tools": [TOOL]}
    before = json.dumps(body)

    ADAPTER.chat_request(UPSTREAM, upstream_model="gemini-3-flash", body=body, stream=True)

    assert json.dumps(body) == before
