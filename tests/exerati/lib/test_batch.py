"""Micro-batches: right answers to right callers, whatever the others do."""

import asyncio
import random

import pytest

from exerati.lib.batch import Batcher

pytestmark = pytest.mark.anyio


class Poison(Exception):
    """The error of an item."""


class Sender:
    """Doubles what it is sent, notes the batches, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, items):
        self.batches.append(list(items))
        await self.open.wait()
        if any(item < 0 for item in items):
            raise Poison(min(items))
        return [item * 2 if item != 13 else KeyError(item) for item in items]


@pytest.fixture
async def sender() -> Sender:
    return Sender()


async def test_each_caller_gets_the_result_of_its_item(sender):
    batcher = Batcher(sender)

    assert await asyncio.gather(*map(batcher.call, range(10))) == [n * 2 for n in range(10)]
    await batcher.close()


async def test_calls_of_the_moment_go_together_and_the_next_batch_fills_meanwhile(sender):
    batcher = Batcher(sender, max_size=3)
    sender.open.clear()
    first = [batcher.submit(n) for n in range(2)]
    await asyncio.sleep(0.01)
    later = [batcher.submit(n) for n in range(2, 7)]
    await asyncio.sleep(0.01)
    assert sender.batches == [[0, 1]]

    sender.open.set()
    await asyncio.gather(*first, *later)

    assert sender.batches == [[0, 1], [2, 3, 4], [5, 6]]
    await batcher.close()


async def test_result_that_is_an_exception_reaches_its_caller_only(sender):
    batcher = Batcher(sender)

    results = await asyncio.gather(*map(batcher.call, [1, 13, 2]), return_exceptions=True)

    assert (results[0], results[2]) == (2, 4)
    assert isinstance(results[1], KeyError)
    await batcher.close()


async def test_poisoned_items_fail_alone(sender):
    batcher = Batcher(sender, retry_singly=(Poison,))
    items = [1, -1, 2, 3, -2, 4, 5, 6, 7]

    results = await asyncio.gather(*map(batcher.call, items), return_exceptions=True)

    assert [r if isinstance(r, int) else r.args for r in results] == [
        n * 2 if n > 0 else (n,) for n in items
    ]
    assert len(sender.batches) < 2 * len(items)
    await batcher.close()


async def test_other_errors_reach_every_caller_and_the_next_batch_works(sender):
    batcher = Batcher(sender)

    results = await asyncio.gather(*map(batcher.call, [1, -1, 2]), return_exceptions=True)

    assert [type(result) for result in results] == [Poison] * 3
    assert await batcher.call(4) == 8
    await batcher.close()


async def test_too_few_results_are_an_error_of_the_batch_and_not_a_hang():
    async def send(items):
        return items[1:]

    batcher = Batcher(send)

    with pytest.raises(RuntimeError):
        await asyncio.wait_for(batcher.call(1), 60)
    await batcher.close()


async def test_caller_that_leaves_disturbs_nobody_and_its_item_is_sent(sender):
    batcher = Batcher(sender)
    sender.open.clear()
    waiting = [asyncio.ensure_future(batcher.call(n)) for n in range(4)]
    await asyncio.sleep(0.01)
    waiting[1].cancel()
    queued = asyncio.ensure_future(batcher.call(9))
    await asyncio.sleep(0.01)
    queued.cancel()
    sender.open.set()

    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert [results[0], *results[2:]] == [0, 4, 6]
    assert isinstance(results[1], asyncio.CancelledError)
    await batcher.close()
    assert sender.batches == [[0, 1, 2, 3], [9]]


async def test_10000_random_cancels_give_nobody_a_foreign_value():
    chance = random.Random(11)

    async def send(items):
        await asyncio.sleep(chance.random() / 2_000)
        return [item * 2 for item in items]

    batcher = Batcher(send, max_size=64)
    cancelled = 0

    async def caller(numbers: range) -> None:
        nonlocal cancelled
        for number in numbers:
            call = asyncio.ensure_future(batcher.call(number))
            if chance.random() < 0.8:
                asyncio.get_running_loop().call_later(chance.random() / 1_000, call.cancel)
            try:
                assert await call == number * 2
            except asyncio.CancelledError:
                cancelled += 1

    await asyncio.gather(*(caller(range(n * 500, n * 500 + 500)) for n in range(40)))

    assert cancelled >= 10_000
    assert await batcher.call(1) == 2
    await batcher.close()


async def test_closing_sends_what_is_queued(sender):
    batcher = Batcher(sender, max_size=2)
    futures = [batcher.submit(n) for n in range(5)]

    await batcher.close()

    assert [future.result() for future in futures] == [0, 2, 4, 6, 8]


async def test_closing_sends_also_what_a_caller_that_left_has_queued(sender):
    batcher = Batcher(sender)
    batcher.submit(1).cancel()

    await batcher.close()

    assert sender.batches == [[1]]


async def test_closed_batcher_works_again_when_used_again(sender):
    batcher = Batcher(sender)
    await batcher.close()
    await batcher.call(1)
    await batcher.close()
    await batcher.close()

    assert await batcher.call(2) == 4
    await batcher.close()


async def test_callers_learn_of_a_loop_that_shuts_down(sender):
    batcher = Batcher(sender)
    sender.open.clear()
    under_way = batcher.submit(1)
    await asyncio.sleep(0.01)
    queued = batcher.submit(2)

    assert batcher._runner is not None
    batcher._runner.cancel()
    results = await asyncio.gather(under_way, queued, return_exceptions=True)

    assert [type(result) for result in results] == [ConnectionError, ConnectionError]
