"""Answers of the site are compressed where that helps, and come out as they went in."""

import asyncio
import gzip
import zlib

import pytest

from exerati.compression import compressed

PAGE = b"<p>Hello, Oslo.</p>" * 100


def answer(chunks, *, kind=b"text/html", accept=b"gzip, br", headers=()):
    """Return the messages that reach the server for an answer in these pieces."""
    sent = []

    async def app(scope, receive, send):
        head = [(b"content-type", kind), (b"content-length", b"99"), *headers]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for number, chunk in enumerate(chunks, 1):
            more = number < len(chunks)
            await send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(b"accept-encoding", accept)]}

    async def receive():
        return {"type": "http.disconnect"}

    async def run():
        await compressed(app)(scope, receive, send)

    asyncio.run(run())
    return dict(sent[0]["headers"]), [message["body"] for message in sent[1:]]


@pytest.mark.parametrize("chunks", [[PAGE], [PAGE[:7], PAGE[7:], b""], [b"", PAGE]])
def test_page_comes_out_as_it_went_in(chunks):
    headers, bodies = answer(chunks)

    assert gzip.decompress(b"".join(bodies)) == PAGE
    assert len(b"".join(bodies)) < len(PAGE) / 3
    assert headers[b"content-encoding"] == b"gzip"
    assert headers[b"vary"] == b"Accept-Encoding"
    assert b"content-length" not in headers


def test_each_piece_can_be_read_when_it_arrives():
    _, bodies = answer([PAGE, PAGE, b""])

    assert len(bodies) == 3
    assert zlib.decompressobj(31).decompress(bodies[0]) == PAGE


def test_lengths_of_the_same_page_differ():
    assert len({len(answer([PAGE])[1][0]) for _ in range(20)}) > 5


@pytest.mark.parametrize(
    "how",
    [
        {"accept": b""},
        {"kind": b"font/woff2"},
        {"kind": b"text/event-stream"},
        {"headers": [(b"content-encoding", b"br")]},
        {"headers": [(b"content-range", b"bytes 0-9/99")]},
    ],
)
def test_other_answers_are_left_alone(how):
    headers, bodies = answer([PAGE], **how)

    assert bodies == [PAGE]
    assert headers[b"content-length"] == b"99"


def test_short_answer_is_left_alone():
    assert answer([b"ok"])[1] == [b"ok"]


def test_etag_becomes_weak():
    headers, _ = answer([PAGE], headers=[(b"etag", b'"1"')])

    assert headers[b"etag"] == b'W/"1"'
