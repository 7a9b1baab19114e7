"""Legacy text completions over chat models: with the official client, and what is refused."""

import json
import re

import msgspec
import pytest
from openai import BadRequestError, OpenAI

from gateway.api.openapi import DOCUMENT
from gateway.dialects.completions import CompletionsDialect
from gateway.documentation.docs_pages import FOLDER
from gateway.providers.base import ServeAs
from gateway.wire_checks import InvalidRequest
from tests.gateway import books

SHOWN = ServeAs(id="cmpl-1", model="m", created=1, include_usage=True)


@pytest.fixture
def client(shop):
    with OpenAI(base_url=shop.gateway.base_url, api_key=shop.secret, timeout=60) as client:
        yield client


def chat_body(**fields):
    return CompletionsDialect().chat_body({"model": "m", "prompt": "Hi", **fields})


def events(*chunks):
    writer = CompletionsDialect().stream(SHOWN)
    sent = writer.events([json.dumps(chunk).encode() for chunk in chunks])
    return [json.loads(line.removeprefix(b"data: ")) for line in sent.split(b"\n\n") if line]


def chunk(delta, **choice):
    return {
        "id": "cmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}],
    }


# over HTTP


def test_whole_text_completion(shop, client):
    answer = client.completions.create(model=shop.model, prompt="Say hello", max_tokens=50)

    assert answer.id.startswith("cmpl-")
    assert (answer.object, answer.model) == ("text_completion", shop.model)
    [choice] = answer.choices
    assert (choice.text, choice.finish_reason, choice.index) == ("Hello world", "stop", 0)
    assert choice.logprobs is None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (9, 4)
    assert answer.usage.cost == pytest.approx(2500e-9)
    [call] = shop.upstream.calls
    assert call.body["messages"] == [{"role": "user", "content": "Say hello"}]
    assert "prompt" not in call.body
    event = books.only(shop.organization)
    assert (event.endpoint, event.charge_nanousd) == ("completions", 2500)


@pytest.mark.parametrize("include_usage", [False, True])
def test_streamed_text_completion(shop, client, include_usage):
    options = {"stream_options": {"include_usage": True}} if include_usage else {}

    stream = client.completions.create(
        model=shop.model, prompt=["Say hello"], stream=True, **options
    )
    chunks = list(stream)

    assert {(c.object, c.model) for c in chunks} == {("text_completion", shop.model)}
    choices = [choice for c in chunks for choice in c.choices]
    assert "".join(choice.text for choice in choices) == "Hello world"
    assert choices[-1].finish_reason == "stop"
    assert all(choice.finish_reason is None for choice in choices[:-1])
    if include_usage:
        assert chunks[-1].choices == []
        assert chunks[-1].usage.total_tokens == 13
        assert chunks[-1].usage.cost == pytest.approx(2500e-9)
    assert books.only(shop.organization).streamed


def test_error_after_the_first_text_ends_the_stream_as_in_chats(shop):
    shop.script(abort_after=2)
    body = {"model": shop.model, "prompt": "Hi", "stream": True}

    answer = shop.gateway.request("POST", "/v1/completions", key=shop.secret, body=body)

    assert b'"text":"Hel"' in answer.body
    assert b'"error":{' in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_without_a_maximum_the_answer_has_openai_s_sixteen_tokens(shop, client):
    client.completions.create(model=shop.model, prompt="Hi")

    sent = shop.upstream.calls[0].body
    assert sent.get("max_completion_tokens", sent.get("max_tokens")) == 16


def test_key_without_the_endpoint_is_refused(shop):
    key = shop.make_key(endpoints=["chat.completions"])

    answer = shop.gateway.request(
        "POST", "/v1/completions", key=key, body={"model": shop.model, "prompt": "Hi"}
    )

    assert (answer.status, answer.error["code"]) == (403, "endpoint_not_allowed")


def test_key_for_the_endpoint_alone_may_call_it(shop):
    key = shop.make_key(endpoints=["completions"])

    answer = shop.gateway.request(
        "POST", "/v1/completions", key=key, body={"model": shop.model, "prompt": "Hi"}
    )

    assert answer.status == 200


@pytest.mark.parametrize("stream", [False, True])
def test_echo_puts_the_prompt_before_each_choice_and_costs_nothing_more(shop, client, stream):
    shop.script(pieces=["One", " two"])
    asked = {"model": shop.model, "prompt": "Count: ", "echo": True, "stream": stream}

    found = client.completions.create(**asked)

    answers = list(found) if stream else [found]
    assert "".join(choice.text for one in answers for choice in one.choices) == "Count: One two"
    assert "echo" not in shop.upstream.calls[0].body
    assert books.only(shop.organization).charge_nanousd == 2500


def test_several_prompts_are_refused_before_anything_is_sent(shop, client):
    with pytest.raises(BadRequestError) as refused:
        client.completions.create(model=shop.model, prompt=["one", "two"])

    assert (refused.value.code, refused.value.param) == ("unsupported_value", "prompt")
    assert shop.upstream.calls == []


def test_parameters_that_nobody_knows_are_named(shop):
    body = {"model": shop.model, "prompt": "Hi", "suffix": "", "surprise": 1}

    answer = shop.gateway.request("POST", "/v1/completions", key=shop.secret, body=body)

    assert (answer.status, answer.headers["x-exerati-ignored-params"]) == (200, "surprise")


# the translation


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"prompt": None}, "missing_required_parameter", "prompt"),
        ({"prompt": 7}, "invalid_type", "prompt"),
        ({"prompt": {"text": "x"}}, "invalid_type", "prompt"),
        ({"prompt": []}, "invalid_value", "prompt"),
        ({"prompt": [1, 2, 3]}, "unsupported_value", "prompt"),
        ({"prompt": [[1, 2, 3]]}, "unsupported_value", "prompt"),
        ({"suffix": "end"}, "unsupported_value", "suffix"),
        ({"echo": True, "logprobs": 0}, "unsupported_value", "echo"),
        ({"echo": "yes"}, "invalid_type", "echo"),
        ({"best_of": 3}, "unsupported_value", "best_of"),
        ({"best_of": 1, "n": 2}, "unsupported_value", "best_of"),
        ({"logprobs": 6}, "invalid_value", "logprobs"),
        ({"logprobs": True}, "invalid_type", "logprobs"),
        ({"messages": []}, "unsupported_value", "messages"),
        ({"tools": []}, "unsupported_value", "tools"),
    ],
)
def test_what_a_chat_cannot_honour_is_refused(fields, code, param):
    with pytest.raises(InvalidRequest) as refused:
        chat_body(**fields)

    assert (refused.value.code, refused.value.param) == (code, param)


def test_what_means_nothing_more_is_accepted():
    body = chat_body(echo=False, suffix=None, best_of=2, n=2, logprobs=None, max_tokens=5)

    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "n": 2,
        "max_tokens": 5,
    }


def test_other_name_of_the_maximum_is_kept():
    assert "max_tokens" not in chat_body(max_completion_tokens=9)


@pytest.mark.parametrize("count", [0, 5])
def test_logprobs_are_asked_for_in_the_way_of_chats(count):
    body = chat_body(logprobs=count)

    assert (body["logprobs"], body["top_logprobs"]) == (True, count)


def token(text, logprob, **top):
    tops = [{"token": name, "logprob": value} for name, value in top.items()]
    return {"token": text, "logprob": logprob, "top_logprobs": tops}


def test_logprobs_of_a_whole_answer_are_four_lists():
    answer = {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello you"},
                "finish_reason": "length",
                "logprobs": {"content": [token("Hello", -0.1, Hello=-0.1), token(" you", -2)]},
            }
        ]
    }

    text = CompletionsDialect().whole(answer, cost_nanousd=0)

    assert text["choices"] == [
        {
            "index": 0,
            "text": "Hello you",
            "finish_reason": "length",
            "logprobs": {
                "tokens": ["Hello", " you"],
                "token_logprobs": [-0.1, -2],
                "top_logprobs": [{"Hello": -0.1}, {}],
                "text_offset": [0, 5],
            },
        }
    ]


def test_offsets_of_a_stream_go_on_where_the_last_chunk_ended():
    sent = events(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hello"}, logprobs={"content": [token("Hello", -0.1)]}),
        chunk({"content": " you"}, logprobs={"content": [token(" you", -2)]}),
        chunk({}, finish_reason="stop"),
    )

    choices = [event["choices"][0] for event in sent]
    assert [choice["text"] for choice in choices] == ["Hello", " you", ""]
    assert [choice["logprobs"]["text_offset"] for choice in choices[:2]] == [[0], [5]]
    assert choices[2]["finish_reason"] == "stop"


def test_refusal_is_the_text_and_reasons_that_texts_do_not_have_are_stop():
    answer = {
        "choices": [
            {"index": 0, "message": {"content": None, "refusal": "No."}, "finish_reason": "odd"}
        ]
    }

    [choice] = CompletionsDialect().whole(answer, cost_nanousd=0)["choices"]

    assert (choice["text"], choice["finish_reason"]) == ("No.", "stop")


def test_what_else_the_provider_says_stays():
    answer = {"choices": [], "system_fingerprint": "fp", "usage": {"prompt_tokens": 1}}

    text = CompletionsDialect().whole(answer, cost_nanousd=5)

    assert msgspec.json.decode(msgspec.json.encode(text)) == {
        "object": "text_completion",
        "choices": [],
        "system_fingerprint": "fp",
        "usage": {"prompt_tokens": 1, "cost": 5e-9},
    }


# the documentation


def test_every_parameter_is_documented_and_the_example_is_accepted():
    page = (FOLDER / "completions.md").read_text()
    schemas = json.loads(DOCUMENT.read_text())["components"]["schemas"]
    [example] = re.findall(r"-d '(.*?)'\n```", page, re.DOTALL)

    assert set(schemas["CompletionRequest"]["properties"]) <= set(re.findall(r"`(\w+)`", page))
    assert CompletionsDialect().chat_body(json.loads(example))["max_tokens"] == 60
