"""Events come out the same however their bytes were cut and whichever line ends they have."""

import itertools
import random

import pytest

from gateway import sse
from gateway.sse import EventTooLarge, SseDecoder
from tests.gateway import recorded

STREAMS = recorded.streams()


def decoded(data: bytes, *, cuts: list[int] | None = None) -> list[sse.Event]:
    decoder = SseDecoder()
    events = []
    edges = [0, *(cuts or []), len(data)]
    for start, end in itertools.pairwise(edges):
        events += decoder.feed(data[start:end])
    return events + decoder.flush()


def line_ends(data: bytes) -> list[bytes]:
    plain = data.replace(b"\r\n", b"\n")
    return [plain, plain.replace(b"\n", b"\r\n"), plain.replace(b"\n", b"\r")]


def test_an_event_has_the_data_of_its_line():
    assert decoded(b'data: {"a":1}\n\n') == [(b"", b'{"a":1}')]


@pytest.mark.parametrize(
    ("block", "event"),
    [
        (b"event: error\ndata: x\n\n", (b"error", b"x")),
        (b"event:error\ndata:x\n\n", (b"error", b"x")),
        (b"data: a\ndata: b\n\n", (b"", b"a\nb")),
        (b"data:  two spaces\n\n", (b"", b" two spaces")),
        (b"id: 7\nretry: 10\ndata: x\n\n", (b"", b"x")),
        (b": a comment\ndata: x\n\n", (b"", b"x")),
        (b"data\n\n", (b"", b"")),
        ("data: a\u2028b\u0085c\n\n".encode(), (b"", "a\u2028b\u0085c".encode())),
        (b"\xef\xbb\xbfdata: x\n\n", (b"", b"x")),
        (b"\n\n\ndata: x\n\n\n\n", (b"", b"x")),
    ],
)
def test_fields_are_read_as_the_standard_says_at_every_cut(block, event):
    for variant in line_ends(block):
        for cut in range(len(variant) + 1):
            assert decoded(variant, cuts=[cut]) == [event]


@pytest.mark.parametrize(
    "block", [b": ping\n\n", b"event: done\n\n", b"\n\n\n", b"", b"retry: 1\n\n"]
)
def test_without_data_there_is_no_event(block):
    assert decoded(block) == []


def test_a_byte_order_mark_counts_only_at_the_start():
    assert decoded(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n") == [(b"", b"a")]


def test_a_last_event_without_its_blank_line_is_not_lost():
    assert decoded(b"data: a\n\ndata: [DONE]") == [(b"", b"a"), (b"", b"[DONE]")]


def test_an_event_is_given_as_soon_as_its_blank_line_is_there():
    decoder = SseDecoder()

    assert decoder.feed(b"data: a\r\n\r") == [(b"", b"a")]
    assert decoder.feed(b"\ndata: b\r\n\r\n") == [(b"", b"b")]


def test_an_event_without_end_is_refused():
    decoder = SseDecoder(max_event_bytes=1_000)
    line = b"data: " + b"x" * 94

    for _ in range(10):
        decoder.feed(line)
    with pytest.raises(EventTooLarge):
        decoder.feed(line)


def test_one_large_piece_with_small_events_is_fine_and_one_large_event_is_not():
    small = b"data: " + b"x" * 50 + b"\n\n"

    assert len(SseDecoder(max_event_bytes=1_000).feed(small * 100)) == 100
    with pytest.raises(EventTooLarge):
        SseDecoder(max_event_bytes=1_000).feed(b"data: " + b"x" * 2_000 + b"\n\n")


def test_a_frame_is_read_back():
    assert decoded(sse.frame(b'{"a":1}') + sse.PING + sse.DONE) == [
        (b"", b'{"a":1}'),
        (b"", b"[DONE]"),
    ]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_recorded_streams_are_cut_anywhere_and_give_the_same_events(stream):
    events = decoded(stream.data)
    assert events

    for variant in line_ends(stream.data):
        assert decoded(variant, cuts=list(range(1, len(variant)))) == events
        cuts = range(len(variant)) if len(variant) < 4_000 else seeded_cuts(len(variant))
        for cut in cuts:
            assert decoded(variant, cuts=[cut]) == events


def seeded_cuts(length: int) -> list[int]:
    return random.Random(length).sample(range(length), 12)


@pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)
def test_the_recorded_collection_is_there():
    assert len(STREAMS) > 40
