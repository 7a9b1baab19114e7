"""
The only door to providers, and the only importer of httpx.

httpx gives requests, errors and the transport seam; one aiohttp session of our own does the work below it,
because httpx's own pool loses slots for ever when requests are cancelled (docs/decisions/0003). Redirects,
cookies, proxies and compression are off, so that what a provider sends is what we read. All of it has an end in
time and size, whatever the provider does.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import Any, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import map_aiohttp_exceptions
from multidict import CIMultiDict
from yarl import URL

from exerati.lib.deadline import Deadline
from gateway.providers.base import ProviderError, UpstreamRequest, UpstreamResponse
from gateway.providers.connector import Connector

MAX_WHOLE_BYTES = 64 * 1024 * 1024
MAX_STREAM_BYTES = 512 * 1024 * 1024
MAX_REFUSAL_BYTES = (
    256 * 1024
)  # of a refusal no more is read, since a few sentences are all that is of use
MAX_CONNECTIONS = 10_000
# At most of one reading. What stands between a provider and a client that stopped reading is a few of them, and one
# of the event loop's own (up to 250 KiB): 500 such clients took 350 KiB each with twice as much, at most 220 with this.
READ_BYTES = 32 * 1024
# Named in every request, so that aiohttp has nothing to add: what a provider sends is what we read.
IDENTITY = ("accept-encoding", "identity")

logger = logging.getLogger(__name__)


class Client:
    """Sends requests to providers from one event loop."""

    def __init__(
        self,
        *,
        connect_seconds: float,
        read_seconds: float,
        max_whole_bytes: int = MAX_WHOLE_BYTES,
        max_stream_bytes: int = MAX_STREAM_BYTES,
    ) -> None:
        self._timeout = {"connect": connect_seconds, "read": read_seconds, "pool": None}
        # The transport's own time runs anew with every byte, so headers that trickle never pass it.
        self._headers_seconds = connect_seconds + read_seconds
        self._max_whole_bytes = max_whole_bytes
        self._max_stream_bytes = max_stream_bytes
        self._session: aiohttp.ClientSession | None = None
        self._transport: _Transport | None = None

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """
        Send the request and return the answer as soon as its headers are there.

        Raises ProviderError of kind `connection`, `timeout` or `bad_answer`; its `sent` is false only when the request
        cannot have reached the provider.
        """
        outgoing = httpx.Request(
            request.method,
            _url(request.url),
            headers=_httpx_headers(request.headers),
            # A ready stream spares httpx from preparing headers that are not sent through it.
            stream=httpx.ByteStream(request.body),
            extensions={"timeout": self._timeout, "headers": _aiohttp_headers(request.headers)},
        )
        try:
            with Deadline(self._headers_seconds):
                response = await self._ready().handle_async_request(outgoing)
        except httpx.TransportError as error:
            raise _provider_error(error) from error
        except aiohttp.ClientError as error:  # what the transport has no httpx name for
            raise ProviderError("bad_answer", "The provider does not speak HTTP.") from error
        except TimeoutError as error:
            raise ProviderError("timeout", "The provider took too long.") from error
        return _Response(
            response, max_whole=self._max_whole_bytes, max_stream=self._max_stream_bytes
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _ready(self) -> "_Transport":
        if self._transport is None:
            self._session = aiohttp.ClientSession(
                connector=Connector(
                    limit=MAX_CONNECTIONS,
                    ssl=_ssl_context(),
                    ttl_dns_cache=60,
                    keepalive_timeout=60,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                read_bufsize=READ_BYTES // 2,
            )
            self._transport = _Transport(client=self._session, verify=_ssl_context())
        return self._transport


class _Transport(AiohttpTransport):
    """
    The transport with headers that were made ready once for each provider account, and no proxy to look for:
    taking httpx's headers apart for every request was a tenth of a call's cost. Its table of errors is entered only
    where there is one.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; raises httpx.TransportError."""
        timeout = request.extensions["timeout"]
        session = cast(aiohttp.ClientSession, self.client)
        try:
            response = await session.request(
                request.method,
                _yarl(str(request.url)),
                headers=request.extensions["headers"],
                data=b"".join(request.stream) or None,  # type: ignore[arg-type]  # a ByteStream is sync too
                allow_redirects=False,
                auto_decompress=False,
                timeout=_client_timeout(timeout["connect"], timeout["read"]),
            )
        except Exception:
            with map_aiohttp_exceptions():
                raise
        _check_head(response)
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))


class _Body(httpx.AsyncByteStream):
    """
    The bytes of an answer as they arrive; raises httpx.TransportError.

    An object, not a generator, since the event loop keeps a book of generators.
    """

    __slots__ = ("_response",)

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._response.content.read(READ_BYTES)
        except Exception:
            with map_aiohttp_exceptions():
                raise
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Give a fully read connection back to the pool and drop any other."""
        try:
            await self._response.__aexit__(None, None, None)
        except Exception:
            with map_aiohttp_exceptions():
                raise


class _Response:
    """One answer, within its bounds of size; it is read once, whole or chunk by chunk."""

    __slots__ = ("_body", "_left", "_max_whole", "headers", "status")

    def __init__(self, response: httpx.Response, *, max_whole: int, max_stream: int) -> None:
        self._body = cast(_Body, response.stream)
        self._left = max_stream
        self._max_whole = max_whole
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        """
        Return the whole body, of a refusal its beginning; raises ProviderError when it breaks off or is too large.
        """
        is_refusal = self.status >= 400
        most = MAX_REFUSAL_BYTES if is_refusal else self._max_whole
        parts: list[bytes] = []
        size = 0
        async for part in self:
            parts.append(part)
            size += len(part)
            if size > most:
                if is_refusal:
                    break
                raise self._too_large()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def chunks(self) -> AsyncIterator[bytes]:
        """Return the body as it arrives; raises ProviderError when it breaks off or never ends."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._body.__anext__()
        except httpx.TransportError as error:
            raise _provider_error(error) from error
        self._left -= len(chunk)
        if self._left < 0:
            raise self._too_large()
        return chunk

    def _too_large(self) -> ProviderError:
        return ProviderError(
            "bad_answer", "The provider's answer is too large.", status=self.status
        )

    async def close(self) -> None:
        """End the exchange."""
        await self._body.aclose()


def _check_head(response: aiohttp.ClientResponse) -> None:
    """
    Raise ProviderError for what is neither an answer nor a refusal (redirects, other protocols), and for an answer
    in a coding that was not asked for: unpacked, it might be of any size.
    """
    status = response.status
    if status >= 400:
        return
    if not 200 <= status < 300:
        message = "The provider answered with neither an answer nor an error."
    elif response.headers.get("content-encoding", "identity").lower() != "identity":
        message = "The provider's answer is compressed, which was not asked for."
    else:
        return
    response.close()
    raise ProviderError("bad_answer", message, status=status)


def _provider_error(error: httpx.TransportError) -> ProviderError:
    """
    Say what a transport error means for a retry.

    The transport reports a connection that died after the request was sent as ConnectTimeout, so the cause
    decides: only a failure to connect at all is a request that was never sent.
    """
    cause: Any = error.__cause__
    never_sent = isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    if isinstance(cause, aiohttp.ServerTimeoutError | TimeoutError):
        message = (
            "The provider could not be reached in time."
            if never_sent
            else "The provider took too long."
        )
        return ProviderError("timeout", message, sent=not never_sent)
    message = (
        "The provider could not be reached."
        if never_sent
        else "The provider closed the connection."
    )
    logger.info("upstream connection failed: %r", cause or error)
    return ProviderError("connection", message, sent=not never_sent)


@lru_cache(maxsize=1024)
def _url(url: str) -> httpx.URL:
    return httpx.URL(url)


@lru_cache(maxsize=1024)
def _yarl(url: str) -> URL:
    return URL(url, encoded=True)


@lru_cache(maxsize=1024)
def _httpx_headers(headers: tuple[tuple[str, str], ...]) -> httpx.Headers:
    return httpx.Headers(headers)


@lru_cache(maxsize=1024)
def _aiohttp_headers(headers: tuple[tuple[str, str], ...]) -> CIMultiDict[str]:
    return CIMultiDict((*headers, IDENTITY))


@lru_cache(maxsize=16)
def _client_timeout(connect: float, read: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read)


@lru_cache(maxsize=1)
def _ssl_context() -> Any:
    return httpx.create_ssl_context(trust_env=False)
