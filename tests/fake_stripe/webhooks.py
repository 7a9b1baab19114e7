"""
Events and their delivery: signed as Stripe signs them, tried again, and held, repeated or reordered on command.
"""

import asyncio
import hashlib
import hmac
import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.fake_stripe.operations import operation
from tests.fake_stripe.state import Object, Store, change, listing

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
ANSWER_SECONDS = 20


@operation("GET", "/v1/events")
def list_events(store: Store, params: dict[str, Any]) -> Object:
    """List events, newest first."""
    found = store.all("event", type=params.get("type"))
    if params.get("types"):
        found = [event for event in found if event["type"] in params["types"]]
    return listing(found, params, url="/v1/events")


@operation("GET", "/v1/events/{id}")
def retrieve_event(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return an event."""
    return store.get("event", id)


@operation("POST", "/v1/webhook_endpoints")
def create_endpoint(store: Store, params: dict[str, Any]) -> Object:
    """Make an endpoint; its secret is told only now."""
    endpoint = store.add(
        "webhook_endpoint",
        api_version=params.get("api_version"),
        description=params.get("description"),
        enabled_events=params["enabled_events"],
        metadata=dict(params.get("metadata") or {}),
        status="enabled",
        url=params["url"],
    )
    seed = hashlib.sha256(f"{endpoint['id']} {params['url']}".encode()).hexdigest()
    store.secrets[endpoint["id"]] = f"whsec_{seed[:32]}"
    return {**endpoint, "secret": store.secrets[endpoint["id"]]}


@operation("GET", "/v1/webhook_endpoints")
def list_endpoints(store: Store, params: dict[str, Any]) -> Object:
    """List endpoints."""
    return listing(store.all("webhook_endpoint"), params, url="/v1/webhook_endpoints")


@operation("POST", "/v1/webhook_endpoints/{webhook_endpoint}")
def update_endpoint(store: Store, params: dict[str, Any], id: str) -> Object:
    """Change an endpoint."""
    endpoint = store.get("webhook_endpoint", id, param="webhook_endpoint")
    change(endpoint, params, ("description", "enabled_events", "metadata", "url"))
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    return endpoint


@operation("DELETE", "/v1/webhook_endpoints/{webhook_endpoint}")
def delete_endpoint(store: Store, params: dict[str, Any], id: str) -> Object:
    """Remove an endpoint."""
    store.get("webhook_endpoint", id, param="webhook_endpoint")
    del store.objects["webhook_endpoint"][id]
    return {"id": id, "object": "webhook_endpoint", "deleted": True}


def signature(payload: bytes, *, timestamp: int, secrets: Sequence[str]) -> str:
    """Return the header `Stripe-Signature`, with one `v1` for each secret."""
    signed = f"{timestamp}.".encode() + payload
    parts = [
        f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}" for secret in secrets
    ]
    return ",".join([f"t={timestamp}", *parts])


@dataclass
class Delivery:
    """One try to tell an endpoint of an event."""

    event: str
    endpoint: str
    status: int


@dataclass
class Courier:
    """
    Delivers new events in their order. While `held` they wait, and tests say which go, how often, in which order.
    """

    store: Store
    held: bool = False
    waiting: list[str] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    _queue: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)
    _retries: set["asyncio.Task[None]"] = field(default_factory=set)

    def accept(self, event: Object) -> None:
        """Take a new event."""
        if self.held:
            self.waiting.append(event["id"])
        else:
            self._queue.put_nowait(event["id"])

    def release(self) -> None:
        """Deliver all that waited, and what comes from now on."""
        self.held = False
        for id in self.waiting:
            self._queue.put_nowait(id)
        self.waiting.clear()

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            await self.deliver(await self._queue.get(), retry=True)

    async def deliver(
        self,
        id: str,
        *,
        timestamp_offset: int = 0,
        secrets: Sequence[str] | None = None,
        retry: bool = False,
    ) -> list[Delivery]:
        """Tell every endpoint that wants it of an event, once; with `retry`, again later where that fails."""
        event = self.store.get("event", id)
        made = []
        for endpoint in self.store.all("webhook_endpoint", status="enabled"):
            wanted = endpoint["enabled_events"]
            if "*" not in wanted and event["type"] not in wanted:
                continue
            made.append(await self._post(event, endpoint, timestamp_offset, secrets))
            if retry and not 200 <= made[-1].status < 300:
                task = asyncio.create_task(self._again(event, endpoint))
                self._retries.add(task)
                task.add_done_callback(self._retries.discard)
        return made

    async def _again(self, event: Object, endpoint: Object) -> None:
        for seconds in RETRY_SECONDS:
            await asyncio.sleep(seconds)
            made = await self._post(event, endpoint, 0, None)
            if 200 <= made.status < 300:
                return

    async def _post(
        self, event: Object, endpoint: Object, offset: int, secrets: Sequence[str] | None
    ) -> Delivery:
        payload = json.dumps(event, indent=2).encode()
        header = signature(
            payload,
            timestamp=self.store.now + offset,
            secrets=secrets or [self.store.secrets[endpoint["id"]]],
        )
        status = await asyncio.to_thread(_send, endpoint["url"], payload, header)
        made = Delivery(event["id"], endpoint["id"], status)
        self.deliveries.append(made)
        return made


def _send(url: str, payload: bytes, header: str) -> int:
    """Return the status, 0 where nobody answered."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    headers = {
        "content-type": "application/json; charset=utf-8",
        "stripe-signature": header,
        "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    try:
        connection.request("POST", parts.path or "/", body=payload, headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
