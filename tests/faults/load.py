"""
The load of a run: callers that keep streams and plain calls under way, and remember what they saw.

Each call can be known again everywhere: its label is in the prompt (so in the provider's ledger) and in the header
`x-request-id` (so on the usage event); and its bound is like no other of its key and model, so that also a call whose
process died before anything but the reservation was stored is found again, by the reservation's upper bound.
"""

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.faults import customers
from tests.faults.customers import Customer
from tests.faults.world import Child, World

CALL_SECONDS = 60
ANSWERED, REFUSED = 200, 429
PROMPT_BYTES = 160
# Output tokens that call 0 of a key may have; call n may have n more.
FEWEST_TOKENS = 70
PAUSE_AFTER_REFUSAL_SECONDS = 0.3

# What a call does, and how often.
ACTIONS = {
    "stream": 38,
    "long": 12,
    "leave": 12,
    "broken": 5,
    "no usage": 4,
    "empty": 2,
    "two routes": 5,
    "unbounded": 14,
    "whole": 17,
    "embedding": 6,
}


@dataclass(slots=True)
class Seen:
    """One call as its client saw it; times are `time.time()` seconds."""

    label: str
    number: int
    action: str
    customer: Customer
    model: str
    gateway: str
    started_at: float
    status: int = 0
    request_id: str = ""
    pieces_at: list[float] = field(default_factory=list)
    whole: bool = False
    error: str = ""
    ended_at: float = 0.0

    @property
    def pieces(self) -> int:
        """How many tokens arrived."""
        return len(self.pieces_at)

    def pieces_until(self, moment: float) -> int:
        """Return how many tokens had arrived by then."""
        return sum(at <= moment for at in self.pieces_at)


class Load:
    """The callers; `seen` has every call by label."""

    def __init__(self, world: World, who: Sequence[Customer], *, seed: int, callers: int) -> None:
        self.seen: dict[str, Seen] = {}
        self.statuses: Counter[int] = Counter()
        self.under_way = 0
        self.most_under_way = 0
        self._world = world
        self._customers = who
        self._callers = callers
        self._seed = seed
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._refused: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Begin to call from all callers."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
        )
        self._tasks = [asyncio.create_task(self._calls(number)) for number in range(self._callers)]

    async def stop(self) -> None:
        """Begin no more calls and wait until those under way are over."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)
        if self._session is not None:
            await self._session.close()

    async def call(
        self, customer: Customer, action: str, *, gateway: Child, drawn: random.Random
    ) -> Seen:
        """Make one call and return what the client saw; a failure is part of that."""
        seen = self._new(customer, action, gateway)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self._send(seen, gateway.port, drawn)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            seen.error = seen.error or f"{type(error).__name__}: {error}"
        finally:
            self.under_way -= 1
            seen.ended_at = time.time()
            self.statuses[seen.status] += 1
            if seen.status == REFUSED:
                self._refused[customer.name, seen.model].append(seen.number)
        return seen

    async def _calls(self, number: int) -> None:
        drawn = random.Random(f"caller {self._seed} {number}")
        weights = [customer.weight for customer in self._customers]
        while not self._stopping.is_set():
            [customer] = drawn.choices(self._customers, weights)
            [action] = drawn.choices(list(ACTIONS), list(ACTIONS.values()))
            if action == "unbounded" and customer.name != "free":
                action = "stream"  # so that no budget ends it early
            gateway = self._world.children[drawn.choice(self._world.gateways)]
            seen = await self.call(customer, action, gateway=gateway, drawn=drawn)
            pause = drawn.uniform(0, 0.1) if seen.status == 200 else PAUSE_AFTER_REFUSAL_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    def _new(self, customer: Customer, action: str, gateway: Child) -> Seen:
        model = _model(customer, action)
        number = self._number(customer, model)
        seen = Seen(
            label=f"{customer.name}:{model}:{number}",
            number=number,
            action=action,
            customer=customer,
            model=model,
            gateway=gateway.life,
            started_at=time.time(),
        )
        self.seen[seen.label] = seen
        return seen

    def _number(self, customer: Customer, model: str) -> int:
        """Return a number that no admitted call of the key on the model has; bounds grow with it, so use low ones."""
        if refused := self._refused[customer.name, model]:
            return refused.pop()
        self._numbers[customer.name, model] += 1
        return self._numbers[customer.name, model] - 1

    async def _send(self, seen: Seen, port: int, drawn: random.Random) -> None:
        assert self._session is not None
        path = "embeddings" if seen.action == "embedding" else "chat/completions"
        body = _body(seen, drawn)
        headers = {"authorization": f"Bearer {seen.customer.secret}", "x-request-id": seen.label}
        leave_after = drawn.randint(1, 12) if seen.action == "leave" else 0
        url = f"http://127.0.0.1:{port}/v1/{path}"
        async with self._session.post(url, json=body, headers=headers) as response:
            seen.status = response.status
            seen.request_id = response.headers.get("x-request-id", "")
            if response.status != 200:
                seen.error = _error_code(await response.text())
            elif body.get("stream"):
                await _read_stream(seen, response, leave_after=leave_after)
            else:
                await response.read()
                seen.whole = True


def _model(customer: Customer, action: str) -> str:
    if action == "embedding":
        return customers.EMBEDDING
    if customer.mode == "test":
        return customers.SANDBOX
    return {"two routes": customers.FALLBACK, "unbounded": customers.UNBOUNDED}.get(
        action, customers.CHAT
    )


def _body(seen: Seen, drawn: random.Random) -> dict[str, Any]:
    pieces = 0 if seen.action == "empty" else drawn.randint(5, FEWEST_TOKENS)
    pause = round(drawn.uniform(0.03, 0.08), 3)
    if seen.action == "long":
        pieces, pause = FEWEST_TOKENS, 0.15
    streamed = seen.action not in ("whole", "embedding")
    if seen.model == customers.SANDBOX:
        prompt = json.dumps({"delay_ms": int(pause * 1000), "tokens": pieces})
    else:
        asked = {
            "label": seen.label,
            "pieces": pieces,
            "pause": pause if streamed else drawn.uniform(0.1, 1.5),
            "ending": seen.action,
        }
        prompt = json.dumps(asked).ljust(PROMPT_BYTES)
    if seen.action == "embedding":
        return {"model": seen.model, "input": prompt.ljust(PROMPT_BYTES + seen.number)}
    body: dict[str, Any] = {"model": seen.model, "stream": streamed}
    if seen.model == customers.UNBOUNDED:
        prompt = prompt.ljust(PROMPT_BYTES + seen.number)
    else:
        body["max_completion_tokens"] = FEWEST_TOKENS + seen.number
    return {**body, "messages": [{"role": "user", "content": prompt}]}


async def _read_stream(seen: Seen, response: aiohttp.ClientResponse, *, leave_after: int) -> None:
    async for line in response.content:
        if not line.startswith(b"data: "):
            continue
        if line == b"data: [DONE]\n":
            seen.whole = not seen.error
        elif b'"error"' in line:
            seen.error = _error_code(line[6:].decode())
        elif b'"content":' in line and b'"content":""' not in line:
            seen.pieces_at.append(time.time())
            if leave_after and seen.pieces >= leave_after:
                response.close()
                return


def _error_code(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
