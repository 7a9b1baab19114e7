"""The one door to providers: nothing leaks, nothing is carried over, and what was never sent is known."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.providers.base import ProviderError, UpstreamRequest
from gateway.providers.client import Client

pytestmark = pytest.mark.anyio
CANCELLED = 10_000
AT_ONCE = 100


class Server:
    """A provider in this very loop, which does what the path says."""

    def __init__(self) -> None:
        self.cookies: list[str] = []
        self.redirected = 0
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{what}", self.answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        assert self._runner is not None
        assert self._runner.server is not None
        return len(self._runner.server.connections)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.cookies.append(request.headers.get("cookie", ""))
        what = request.match_info["what"]
        if what == "redirect":
            raise web.HTTPTemporaryRedirect("/redirected")
        if what == "redirected":
            self.redirected += 1
        if what == "hang":
            await asyncio.sleep(30)
        if what in ("abort", "half"):
            return await self.broken(request, what)
        response = web.StreamResponse(headers={"set-cookie": "session=theirs"})
        await response.prepare(request)
        for _ in range(3):
            await response.write(b"x" * 2000)
            await asyncio.sleep(0.001)
        await response.write_eof()
        return response

    async def broken(self, request: web.Request, what: str) -> web.StreamResponse:
        assert request.transport is not None
        response = web.StreamResponse(headers={"content-length": "100"})
        if what == "half":
            await response.prepare(request)
            await response.write(b"x")
        request.transport.abort()
        return response


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    client = Client(connect_seconds=60, read_seconds=60)
    yield client
    await client.close()


@pytest.fixture
async def hasty_client() -> AsyncIterator[Client]:
    client = Client(connect_seconds=3, read_seconds=1)
    yield client
    await client.close()


async def ask(client: Client, url: str) -> bytes:
    response = await client.send(UpstreamRequest(url, headers=(), body=b"{}"))
    try:
        return await response.read()
    finally:
        await response.close()


@pytest.mark.slow
async def test_pool_is_whole_after_many_requests_cancelled_at_random_moments(server, client):
    dice = random.Random(7)

    async def cancelled(number: int) -> None:
        task = asyncio.create_task(ask(client, f"{server.url}/plain"))
        await asyncio.sleep(dice.random() * 0.02)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ProviderError):
            await task

    for _ in range(CANCELLED // AT_ONCE):
        await asyncio.gather(*(cancelled(number) for number in range(AT_ONCE)))

    answers = await asyncio.gather(*(ask(client, f"{server.url}/plain") for _ in range(100)))
    assert [len(answer) for answer in answers] == [6000] * 100
    await client.close()
    async with asyncio.timeout(60):
        while server.connections:  # noqa: ASYNC110  it is another task that lowers it
            await asyncio.sleep(0.01)


async def test_connections_are_used_again(server, client):
    for _ in range(20):
        await ask(client, f"{server.url}/plain")

    assert server.connections == 1


async def test_connection_of_a_large_answer_works_after_a_pause(client, monkeypatch):
    body = b"x" * 40_000  # comes at once, and is so large that its last byte waits for the reader

    async with talking(b"content-length: %d\r\n\r\n%s" % (len(body), body)) as provider:
        assert len(await ask(client, provider.url)) == len(body)
        loop = asyncio.get_running_loop()
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + 61)  # the client waits 60 for a byte
        await asyncio.sleep(0.01)  # what is due is done

        assert len(await ask(client, provider.url)) == len(body)

    assert provider.connections == 1


async def test_answer_that_nobody_asked_for_answers_no_later_request(client):
    async with talking(b"content-length: 2\r\n\r\n{}") as provider:
        assert await ask(client, provider.url) == b"{}"
        provider.say(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")
        await asyncio.sleep(0.1)  # it has arrived: both sides are in this loop

        assert await ask(client, provider.url) == b"{}"

    assert provider.connections == 2


class Talker:
    """A provider that answers every request with the same bytes, and may say more."""

    def __init__(self, answer: bytes) -> None:
        self.url = ""
        self.connections = 0
        self._answer = b"HTTP/1.1 200 OK\r\n" + answer
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n{}"):
                self.say(self._answer)
                await writer.drain()
        writer.close()

    def say(self, data: bytes) -> None:
        """Write on the newest connection."""
        self._writers[-1].write(data)


@contextlib.asynccontextmanager
async def talking(answer: bytes) -> AsyncIterator[Talker]:
    """Run a Talker."""
    talker = Talker(answer)
    server = await asyncio.start_server(talker.serve, "127.0.0.1", 0)
    talker.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/plain"
    try:
        yield talker
    finally:
        server.close()


async def test_cookies_of_one_call_are_not_sent_with_the_next(server, client):
    for _ in range(3):
        await ask(client, f"{server.url}/plain")

    assert server.cookies == ["", "", ""]


async def test_redirects_are_not_followed_nor_taken_for_answers(server, client):
    assert await failure(client, f"{server.url}/redirect") == ("bad_answer", True)
    assert server.redirected == 0


async def failure(client: Client, url: str) -> tuple[str, bool]:
    with pytest.raises(ProviderError) as caught:
        await ask(client, url)
    return caught.value.kind, caught.value.sent


async def test_refused_connection_was_never_sent(client):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and held, so that nobody else listens there meanwhile
        port = unused.getsockname()[1]

        assert await failure(client, f"http://127.0.0.1:{port}/plain") == ("connection", False)


async def test_connection_that_dies_after_the_request_may_have_been_sent(server, client):
    assert await failure(client, f"{server.url}/abort") == ("connection", True)


async def test_answer_that_breaks_off_was_sent(server, client):
    assert await failure(client, f"{server.url}/half") == ("connection", True)


async def test_silence_after_the_request_is_a_timeout_and_was_sent(server, hasty_client):
    assert await failure(hasty_client, f"{server.url}/hang") == ("timeout", True)


async def test_connection_that_is_not_accepted_in_time_was_never_sent(hasty_client):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with contextlib.ExitStack() as waiting:
            for _ in range(4):  # fills the queue of connections nobody accepts
                knock = waiting.enter_context(socket.socket())
                knock.setblocking(False)
                knock.connect_ex(("127.0.0.1", port))
            failed = await failure(hasty_client, f"http://127.0.0.1:{port}/plain")
    assert failed == ("timeout", False)


async def test_what_is_no_http_is_a_bad_answer(client):
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    assert await failure(client, f"http://127.0.0.1:{port}/plain") == ("bad_answer", True)
    server.close()


async def answered(client: Client, *parts: bytes) -> tuple[str, bool]:
    """Return the failure of a call to a server that answers with these bytes, a little apart."""
    left = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        with contextlib.suppress(OSError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.05)
            await reader.read()
        writer.close()
        left.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        found = await failure(client, f"http://127.0.0.1:{port}/plain")
        async with asyncio.timeout(60):
            await left.wait()  # nothing keeps a connection whose answer was broken
    finally:
        server.close()
    return found


async def test_body_whose_chunked_coding_breaks_ends_with_an_error(client):
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"

    assert await answered(client, head, b"no number\r\nxx\r\n") == ("connection", True)


async def test_interim_answers_without_end_are_given_up(client):
    flood = b"HTTP/1.1 102 Processing\r\n\r\n" * 100

    assert await answered(client, flood) == ("bad_answer", True)


async def test_headers_that_trickle_in_are_given_up_in_total(hasty_client):
    trickle = [b"HTTP/1.1 200 OK\r\n", *[b"x-a: b\r\n"] * 120]

    assert await answered(hasty_client, *trickle) == ("timeout", True)


async def test_compressed_answer_that_nobody_asked_for_is_refused(client):
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 40\r\n\r\nxxxx"

    assert await answered(client, head) == ("bad_answer", True)


async def test_answer_has_a_largest_size_whole_or_streamed():
    small = Client(connect_seconds=60, read_seconds=60, max_whole_bytes=10, max_stream_bytes=20)
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n"

    assert await answered(small, head + b"x" * 11) == ("bad_answer", True)
    await small.close()
