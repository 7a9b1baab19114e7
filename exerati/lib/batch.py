"""Micro-batches: the calls of the moment go out as one round trip; while it is under way the next batch fills."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """
    Collects items from many tasks and hands them to `send` together, one batch in flight at a time.

    `send` takes the items and returns one result for each, in order. When it fails, items are sent again in
    halves where the error is one of `retry_singly`, down to single ones, so that a poisoned item fails alone; any
    other error is raised to every caller of the batch. Results may be exceptions, which are raised to their caller.
    A caller that is cancelled leaves its item to be sent: what it asked for may already be on the way.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result | BaseException]]],
        *,
        max_size: int = 256,
        retry_singly: tuple[type[Exception], ...] = (),
    ) -> None:
        self._send = send
        self._max_size = max_size
        self._retry_singly = retry_singly
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._under_way: list[tuple[Item, asyncio.Future[Result]]] = []
        self._runner: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._closing = False

    def submit(self, item: Item) -> "asyncio.Future[Result]":
        """Queue the item and return the future of its result."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if self._runner is None or self._runner.done():
            self._closing = False
            self._runner = loop.create_task(self._run())
        else:
            self._rouse()
        return future

    async def call(self, item: Item) -> Result:
        """Queue the item and wait for its result."""
        return await self.submit(item)

    async def close(self) -> None:
        """Wait until everything queued has been sent, also for callers that have left, then end the runner."""
        if self._runner is not None and not self._runner.done():
            self._closing = True
            self._rouse()
            await self._runner

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _run(self) -> None:
        # One long-lived task instead of one for each batch: creating tasks showed up in the profile.
        loop = asyncio.get_running_loop()
        try:
            while self._waiting or not self._closing:
                if self._waiting:
                    self._under_way = self._waiting[: self._max_size]
                    del self._waiting[: self._max_size]
                    await self._deliver(self._under_way)
                    self._under_way = []
                else:
                    self._wake = loop.create_future()
                    await self._wake
        except asyncio.CancelledError:
            _fail(self._under_way + self._waiting, ConnectionError("shutting down"))
            self._under_way, self._waiting = [], []
            raise

    async def _deliver(self, batch: "list[tuple[Item, asyncio.Future[Result]]]") -> None:
        try:
            results = await self._send([item for item, _ in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for {len(batch)} items")
        except self._retry_singly as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            middle = len(batch) // 2
            await self._deliver(batch[:middle])
            await self._deliver(batch[middle:])
        except Exception as error:  # not swallowed: each caller gets it
            _fail(batch, error)
        else:
            _answer(batch, results)


def _answer(
    batch: "list[tuple[Item, asyncio.Future[Result]]]", results: Sequence[Result | BaseException]
) -> None:
    for (_, future), result in zip(batch, results, strict=True):
        if future.done():
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


def _fail(batch: "list[tuple[Item, asyncio.Future[Result]]]", error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
