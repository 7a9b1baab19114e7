"""Amazon's event stream is cut into the same events wherever its bytes are split, and damage is noticed."""

import itertools
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.amazon.bedrock_frames import EventStreamDecoder
from gateway.providers.base import ProviderError
from gateway.sse import EventTooLarge
from tests.gateway import event_stream, recorded, recorded_bedrock

STREAMS = [
    item for item in recorded_bedrock.exchanges() if item.streamed and item.api != "converse"
]
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)
THREE = b"".join(event_stream.event(name, {"n": name}) for name in ("one", "two", "three"))


def events_of(*pieces: bytes):
    decoder = EventStreamDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.flush()


@needs_recordings
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_recorded_stream_gives_the_same_events_however_it_is_cut(stream):
    data = stream.data
    whole = events_of(data)
    cuts = sorted(random.Random(1).sample(range(len(data)), 200))

    assert whole[0][0] in (b"messageStart", b"chunk")
    assert events_of(*(data[at : at + 1] for at in range(len(data)))) == whole
    for at in cuts if len(data) > 4096 else range(len(data)):
        assert events_of(data[:at], data[at:]) == whole


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=20), st.binary(max_size=200)), max_size=5),
    st.lists(st.integers(0, 2000), max_size=8),
)
def test_what_is_framed_comes_out_again(messages, cuts):
    data = b"".join(
        event_stream.message({":event-type": name, ":message-type": "event"}, payload)
        for name, payload in messages
    )
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})

    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]

    assert events_of(*pieces) == [(name.encode(), payload) for name, payload in messages]


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_a_clear_error(data):
    kind = "bad_answer"
    try:
        events_of(data)
    except EventTooLarge:
        kind = "bad_answer"
    except ProviderError as error:
        kind = error.kind

    assert kind == "bad_answer"


@pytest.mark.parametrize("position", range(len(THREE)))
def test_one_changed_bit_is_noticed(position):
    damaged = bytearray(THREE)
    damaged[position] ^= 1

    with pytest.raises(ProviderError) as caught:
        events_of(bytes(damaged))

    assert caught.value.kind == "bad_answer"


def test_a_message_that_was_not_completed_is_none():
    assert events_of(THREE[:-1]) == events_of(THREE)[:2]


def test_a_message_longer_than_allowed_is_refused_by_its_length_alone():
    prelude = (2**31).to_bytes(4, "big") + bytes(4)

    with pytest.raises(EventTooLarge):
        events_of(prelude + zlib.crc32(prelude).to_bytes(4, "big"))


def test_headers_of_other_types_are_passed_over():
    strange = b"\x01a\x00" + b"\x01b\x06\x00\x02xy" + b"\x01c\x05" + bytes(8) + b"\x01d\x09"
    strange += bytes(16)
    named = b"\x0b:event-type\x07\x00\x02hi"
    prelude = (16 + len(strange + named)).to_bytes(4, "big")
    prelude += len(strange + named).to_bytes(4, "big")
    head = prelude + zlib.crc32(prelude).to_bytes(4, "big") + strange + named

    assert events_of(head + zlib.crc32(head).to_bytes(4, "big")) == [(b"hi", b"")]


def test_exceptions_and_errors_are_known_by_their_names():
    error = event_stream.message(
        {":message-type": "error", ":error-code": "InternalError", ":error-message": "Oh."}, b""
    )

    exception, told = events_of(event_stream.exception("throttlingException", "Slow."), error)

    assert exception == (b"throttlingException", b'{"message": "Slow."}')
    assert told == (b"error", b'{"code":"InternalError","message":"Oh."}')
