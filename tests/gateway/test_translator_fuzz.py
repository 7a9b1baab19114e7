"""
Broken answers of providers at the translators: whatever comes, the customer reads a sound stream or a told error.

`EXERATI_FUZZ` is how many streams and whole answers of each API, `EXERATI_FUZZ_SEED` which.
"""

import json
import os
import re
from itertools import pairwise
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, ValidationError

from billing.pricing import charge_nanousd, upper_bound_nanousd
from billing.types import Price, Rates, TokenBound
from gateway.dialects.chat import ChatDialect
from gateway.dialects.completions import CompletionsDialect
from gateway.dialects.messages import MessagesDialect
from gateway.dialects.responses import ResponsesDialect
from gateway.providers import wire_json
from gateway.providers.base import ProviderError, ServeAs
from gateway.providers.odd_answers import MALFORMED, check_answer
from gateway.providers.registry import ADAPTERS
from gateway.settlement import clamp
from gateway.sse import EventTooLarge
from gateway.tokens import count_text
from tests.gateway import odd_streams, sound_answers
from tests.gateway.test_fuzz import SEED
from tests.gateway.whole_answers import WHOLES

EXAMPLES = int(os.environ.get("EXERATI_FUZZ", "300")) // 4
APIS = tuple(sound_answers.STREAMS)
SHOWN = ServeAs(id="chatcmpl-ours", model="our-model", created=1_700_000_000, include_usage=True)
PRICE = Price(1, Rates(*(range(1, 16))))
BOUND = TokenBound(input_tokens=100, output_tokens=100)
SECRET = re.compile(rb'"id":"(?:msg_1|r1|c1|x1)"')

BREAK = st.tuples(
    st.integers(0, len(odd_streams.BREAKS) + 6),  # a wrong value inside of an event most often
    st.integers(0, 10_000),
    st.integers(0, len(odd_streams.ODD_VALUES) - 1),
)


def fuzz(check: Any, **strategies: Any) -> None:
    """Check `EXAMPLES` cases, always the same for one seed; what fails is made small first."""
    hypothesis.seed(SEED)(
        settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )(given(**strategies)(check))
    )()


def writers() -> list[Any]:
    """Return what writes a stream in each wire format."""
    responses = ResponsesDialect()
    responses.chat_body({"model": "our-model", "input": "Hi"})
    dialects: list[Any] = [ChatDialect(), CompletionsDialect(), responses, MessagesDialect()]
    return [dialect.stream(SHOWN) for dialect in dialects]


def translated(api: str, data: bytes, *, cuts: list[int]) -> tuple[Any, list[bytes], bool]:
    """Return translator, chunks and whether the end was told of as an error, as the gateway's pump reads it."""
    adapter = ADAPTERS[api]
    translator = adapter.chat_stream(serve_as=SHOWN)
    decoder = adapter.stream_decoder()
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    chunks: list[bytes] = []
    try:
        for start, end in pairwise(places):
            for event in decoder.feed(data[start:end]):
                chunks += translator.feed(*event)
            if translator.done:
                break
        for event in decoder.flush():
            chunks += translator.feed(*event)
        chunks += translator.finish()
    except (ProviderError, EventTooLarge, *MALFORMED):  # as `gateway.pump` takes them
        return translator, chunks, True
    return translator, chunks, False


def check_types(model: type[BaseModel], body: Any) -> None:
    """Assert that the official client's types take an answer, but for words that a provider has of its own."""
    try:
        model.model_validate(body)
    except ValidationError as error:
        for problem in error.errors():
            assert problem["type"] == "literal_error", problem
            assert problem["input"], problem
            assert isinstance(problem["input"], str), problem


def check_chunks(chunks: list[bytes], *, api: str) -> None:
    """
    Assert that chunks are OpenAI's, under our names, and that each choice ends at most once and last; who speaks
    OpenAI's own format says so himself.
    """
    ended: set[int] = set()
    for data in chunks:
        assert not SECRET.search(data), data
        chunk = json.loads(data)
        check_types(ChatCompletionChunk, chunk)
        assert (chunk["id"], chunk["model"], chunk["usage"]) == ("chatcmpl-ours", "our-model", None)
        for choice in chunk["choices"]:
            assert choice["index"] not in ended or api == "openai", chunk
            if choice["finish_reason"]:
                ended.add(choice["index"])


def check_money(usage: Any) -> None:
    """Assert that a usage can be charged, and is never more than was reserved."""
    if usage is not None:
        charged = charge_nanousd(clamp(usage, BOUND), price=PRICE)
        assert 0 <= charged <= upper_bound_nanousd(BOUND, price=PRICE)


@pytest.mark.parametrize("api", APIS)
def test_a_broken_stream_is_told_of_or_is_a_sound_one(api):
    def check(breaks: list[tuple[int, int, int]], cuts: list[int]) -> None:
        events = list(sound_answers.STREAMS[api])
        for how, where, odd in breaks:
            events = odd_streams.broken(events, how=how, where=where, odd=odd)

        translator, chunks, failed = translated(
            api, odd_streams.as_bytes(events, api=api), cuts=cuts
        )

        check_chunks(chunks, api=api)
        assert count_text("".join(translator.output_text), model="gpt-4o") >= 0
        assert isinstance(translator.finish_reason + translator.upstream_id, str)
        check_money(translator.usage)
        for writer in writers():
            written = writer.events(chunks)
            if not failed:
                written += writer.end(
                    translator.usage, extra=translator.usage_extra, cost_nanousd=5
                )
            written.decode()

    fuzz(
        check,
        breaks=st.lists(BREAK, min_size=1, max_size=3),
        cuts=st.lists(st.integers(0, 10**6), max_size=4),
    )


@pytest.mark.parametrize("api", APIS)
def test_a_sound_stream_ends_with_one_usage_and_the_mark(api):
    data = odd_streams.as_bytes(list(sound_answers.STREAMS[api]), api=api)

    translator, chunks, failed = translated(api, data, cuts=[])

    writer = ChatDialect().stream(SHOWN)
    told = writer.events(chunks) + writer.end(
        translator.usage, extra=translator.usage_extra, cost_nanousd=5
    )
    assert not failed
    assert told.endswith(b"data: [DONE]\n\n")
    usages = [json.loads(line[6:])["usage"] for line in told.split(b"\n\n")[:-2]]
    assert [usage for usage in usages if usage] == [usages[-1]]
    assert usages[-1]["prompt_tokens"] >= 5
    assert "Hello" in "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        for choice in json.loads(chunk)["choices"]
    )


@pytest.mark.parametrize("api", APIS)
def test_a_broken_whole_answer_is_told_of_or_is_a_sound_one(api):
    def check(breaks: list[tuple[int, int]], cut: int) -> None:
        body = WHOLES[api]
        for where, odd in breaks:
            places = list(odd_streams.paths(body))
            path = places[where % len(places)] if places else ()
            body = odd_streams.replaced(body, path, odd)
        data = odd_streams.dumped(body)
        data = (data, data, data[: len(data) // 2], odd_streams.DEEP)[cut]
        try:
            answer = ADAPTERS[api].chat_answer(data, serve_as=SHOWN)
            check_answer(answer.body)
        except (ProviderError, *MALFORMED):  # as `gateway.dispatch` takes them
            return

        body = json.loads(wire_json.encode(answer.body))
        check_types(ChatCompletion, body)
        check_money(answer.usage)
        assert count_text(answer.output_text, model="gpt-4o") >= 0
        for dialect in (CompletionsDialect(), MessagesDialect()):
            wire_json.encode(dialect.whole(json.loads(json.dumps(body)), cost_nanousd=5))

    fuzz(
        check,
        breaks=st.lists(
            st.tuples(st.integers(0, 10_000), st.integers(0, len(odd_streams.ODD_VALUES) - 1)),
            max_size=3,
        ),
        cut=st.integers(0, 3),
    )


@pytest.mark.parametrize("api", APIS)
def test_an_odd_error_is_an_error(api):
    def check(status: int, odd: int, header: str, cut: int) -> None:
        value = odd_streams.ODD_VALUES[odd]
        shapes = (
            {"error": {"message": value, "type": value, "code": value, "status": value}},
            {"error": value},
            {"message": value, "__type": value, "detail": value},
            value,
        )
        data = odd_streams.dumped(shapes[cut % 4])
        data = (*(data,) * 4, data[:-1], odd_streams.DEEP)[cut]
        headers = {"retry-after": header, "x-amzn-errortype": header}

        error = ADAPTERS[api].error(status, headers, data)

        assert isinstance(error, ProviderError)
        assert error.retry_after_seconds is None or error.retry_after_seconds >= 0

    fuzz(
        check,
        status=st.sampled_from((400, 401, 402, 403, 404, 413, 418, 429, 500, 503, 529, 599)),
        odd=st.integers(0, len(odd_streams.ODD_VALUES) - 1),
        header=st.sampled_from(
            ("", "1", "-1", "1e400", "nan", "Wed, 21 Oct 2026", "x" * 500, "\uff19")
        ),
        cut=st.integers(0, 5),
    )
