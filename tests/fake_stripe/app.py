"""The HTTP side: Stripe's API by the table of operations, the hosted pages, and the controls of tests."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tests.fake_stripe import (  # noqa: F401  each enters its operations
    checkout,
    contract,
    control,
    customers,
    forms,
    invoice_payments,
    invoices,
    operations,
    pages,
    payments,
    reversals,
    tax,
)
from tests.fake_stripe.contract import Invalid
from tests.fake_stripe.faults import Fault, Faults
from tests.fake_stripe.idempotency import Keys
from tests.fake_stripe.state import Store, StripeError, invalid
from tests.fake_stripe.webhooks import Courier

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
MOST_BODY_BYTES = 2**20


class Cut(Exception):
    """The connection is to be closed without an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to send."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """What came in: names of headers in lower case, the body decoded as a form."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str


@dataclass
class App:
    """The stand-in as an ASGI application."""

    store: Store = field(default_factory=Store)
    keys: Keys = field(default_factory=Keys)
    faults: Faults = field(default_factory=Faults)
    calls: list[dict[str, Any]] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    courier: Courier = field(init=False)
    _courier_task: "asyncio.Task[None] | None" = None
    _requests: int = 0

    def __post_init__(self) -> None:
        self.courier = Courier(self.store)
        self.store.on_event = self.courier.accept

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if self._courier_task is None:
            self._courier_task = asyncio.create_task(self.courier.run())
        request = await _read(scope, receive)
        try:
            reply = await self._reply(request)
        except Cut:
            scope["transport"].abort()
            return
        await _send(send, reply)

    async def _reply(self, request: Request) -> Reply:
        if request.path.startswith("/_test/"):
            return _json(
                200, await control.command(self, request.path, json.loads(request.body or "{}"))
            )
        if request.path.startswith("/v1/"):
            return await self._api(request)
        return pages.answer(self.store, request.method, request.path, dict(parse_qsl(request.body)))

    async def _api(self, request: Request) -> Reply:
        self._requests += 1
        request_id = f"req_{self._requests:08d}"
        headers = (("request-id", request_id), ("stripe-version", contract.API_VERSION))
        try:
            status, body, extra = await self._answer(request)
        except StripeError as error:
            status, body, extra = error.status, _error_body(error, request_id), ()
        self.calls.append(
            {
                "method": request.method,
                "path": request.path,
                "status": status,
                "idempotency_key": request.headers.get("idempotency-key"),
                "replayed": bool(extra),
            }
        )
        return Reply(status, body, headers + extra)

    async def _answer(self, request: Request) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
        _authenticate(request)
        found = operations.find(request.method, request.path)
        if found is None:
            message = f"The stand-in cannot {request.method} {request.path} (yet)."
            raise StripeError(501, "invalid_request_error", message)
        route, values = found
        params = _params(route, request)
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        if key and (kept := self.keys.look(key, request.method, request.path, params)):
            return kept.status, kept.body, (("idempotent-replayed", "true"),)
        fault = self.faults.take(request.method, request.path)
        if fault is not None:
            await self._fail(fault, request, params, key)
        status, body = self._perform(route, values, params)
        if key:
            kept_params = _params(route, request)
            self.keys.keep(key, request.method, request.path, kept_params, status, body)
        if fault is not None and fault.kind == "cut_after":
            raise Cut
        return status, body, ()

    def _perform(
        self, route: operations.Route, values: tuple[str, ...], params: dict[str, Any]
    ) -> tuple[int, bytes]:
        try:
            answer = operations.perform(self.store, route, values, params)
        except StripeError as error:
            return error.status, _error_body(error, f"req_{self._requests:08d}")
        schema = operations.response_schema(route)
        try:
            contract.check(schema, answer, what=f"{route.method} {route.path}")
        except contract.Drift as error:
            self.drift.append(str(error))
            raise StripeError(500, "api_error", f"The stand-in is wrong: {error}") from error
        return 200, json.dumps(answer).encode()

    async def _fail(
        self, fault: Fault, request: Request, params: dict[str, Any], key: str | None
    ) -> None:
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "cut_before":
            raise Cut
        elif fault.kind == "status":
            error = _fault_error(fault)
            if key and fault.stored:
                body = _error_body(error, f"req_{self._requests:08d}")
                self.keys.keep(key, request.method, request.path, params, fault.status, body)
            raise error


def _fault_error(fault: Fault) -> StripeError:
    kinds = {409: "idempotency_error", 429: "invalid_request_error"}
    extra = {"code": fault.code} if fault.code else {}
    kind = kinds.get(fault.status, "api_error")
    return StripeError(fault.status, kind, "The stand-in was told to fail.", **extra)


def _authenticate(request: Request) -> None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        value = base64.b64decode(value).decode().partition(":")[0]
    if not value.startswith(("sk_test_", "rk_test_")):
        raise StripeError(401, "invalid_request_error", "Invalid API Key provided.")


def _params(route: operations.Route, request: Request) -> dict[str, Any]:
    text = request.body if request.method == "POST" else request.query
    schema = contract.operation(route.method, route.path).request
    try:
        params: dict[str, Any] = contract.read(schema, forms.decode(text))
    except Invalid as error:
        raise invalid(error.message, code=error.code, param=error.param) from error
    return params


def _error_body(error: StripeError, request_id: str) -> bytes:
    body = {**error.body, "request_log_url": f"https://dashboard.stripe.com/test/logs/{request_id}"}
    return json.dumps({"error": body}).encode()


def _json(status: int, value: Any) -> Reply:
    return Reply(status, json.dumps(value).encode())


async def _read(scope: dict[str, Any], receive: Receive) -> Request:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > MOST_BODY_BYTES:
            break
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(
        scope["method"], scope["path"], scope["query_string"].decode(), headers, body.decode()
    )


async def _send(send: Send, reply: Reply) -> None:
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
        *((name.encode(), value.encode()) for name, value in reply.headers),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
