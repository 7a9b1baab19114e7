"""What is done for open calls every few seconds."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.conf import settings

from gateway.upkeep import TICK_SECONDS, Upkeep
from tests.gateway.test_settlement import make_call

LONG = 10_000.0


async def watched(*, since_tick: float, last_read: float = 0.0, sending: float = 0.0) -> str:
    """Return why a stream was cut that has waited for so many seconds, when the last look was so long ago."""
    now = time.monotonic()
    call = make_call(started=now)
    call.stream, call.cuttable, call.last_sent = (
        cast(Any, object()),
        cast(Any, asyncio.Future()),
        now,
    )
    call.last_read = last_read and now - last_read
    call.sending_since = sending and now - sending
    upkeep = Upkeep(cast(Any, SimpleNamespace(open_calls={call.request_id: call})))
    upkeep._watched = now - since_tick

    await upkeep._watch_streams()

    return call.cut_reason


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("waiting", "reason"), [("last_read", "idle_upstream"), ("sending", "slow_reader")]
)
async def test_silence_ends_a_stream_unless_this_process_did_not_listen(waiting, reason):
    patience = {
        "last_read": settings.UPSTREAM_IDLE_SECONDS,
        "sending": settings.SLOW_READER_SECONDS,
    }
    silent = {waiting: patience[waiting] + 1.0}

    assert await watched(since_tick=TICK_SECONDS, **silent) == reason
    assert await watched(since_tick=silent[waiting], **silent) == ""
    assert await watched(since_tick=LONG, **{waiting: LONG + silent[waiting]}) == reason
