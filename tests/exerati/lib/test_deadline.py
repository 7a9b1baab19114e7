"""A deadline ends what takes too long, and nothing else."""

import asyncio

import pytest

from exerati.lib.deadline import Deadline

pytestmark = pytest.mark.anyio


async def never():
    await asyncio.get_running_loop().create_future()


async def fails():
    raise ValueError("mine")


def cancellations():
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_what_is_in_time_goes_through_and_its_errors_too():
    with Deadline(60):
        await asyncio.sleep(0)
    with pytest.raises(ValueError, match="mine"), Deadline(60):
        await fails()


async def test_what_takes_too_long_is_ended_and_the_task_goes_on():
    with pytest.raises(TimeoutError), Deadline(0.01):
        await never()
    assert cancellations() == 0
    await asyncio.sleep(0)


async def test_inner_deadline_of_two_is_the_one_that_speaks():
    with Deadline(60):
        with pytest.raises(TimeoutError), Deadline(0.01):
            await never()
        await asyncio.sleep(0)


async def test_outer_deadline_ends_what_waits_in_an_inner_one():
    with pytest.raises(TimeoutError), Deadline(0.01), Deadline(60):
        await never()


async def test_cancellation_from_elsewhere_stays_one():
    async def waits():
        with Deadline(60):
            await never()

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancellation_at_the_moment_of_the_deadline_is_not_taken_for_it():
    loop = asyncio.get_running_loop()

    async def waits():
        with Deadline(0.0):
            await never()

    task = asyncio.create_task(waits())
    loop.call_soon(task.cancel)  # runs before the timer, in the same round or an earlier one
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


def test_deadline_needs_a_task():
    with pytest.raises(RuntimeError, match="no running event loop"), Deadline(1):
        pass
