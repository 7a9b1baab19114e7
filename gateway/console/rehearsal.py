"""
Would this request pass? The chat endpoint itself, with doors to limits and money that only look.

The body is read, checked and routed by the code of a real call, up to the moment at which that would be let in; what
stands in its way is the error that a real call would get. Nothing is written, held or sent.
"""

import time
from dataclasses import dataclass
from typing import Any

import redis.exceptions
from asgiref.sync import sync_to_async
from django.http import HttpRequest
from msgspec.structs import replace

from apikeys.authentication import INACTIVE
from apikeys.snapshots import KeySnapshot
from billing import rehearsal
from billing.refusals import RefusedCall
from exerati.lib import ids
from gateway import admission, errors, refusal_record
from gateway.admission import Admission, Rehearsed
from gateway.api.chat import ChatCompletions
from gateway.api_error import ApiError
from gateway.context import CallContext, Message
from gateway.engine import Engine
from gateway.open_call import OpenCall
from gateway.rate_limits import live_limits

PATH = "/v1/chat/completions"
LIMITS_UNKNOWN = ApiError(
    "service_unavailable",
    "The live state of the rate limits cannot be read right now. Real calls go on with a share of each limit.",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it: `held` when it would pass, else `told` and `refused` with the figures of what decided."""

    held: Rehearsed | None = None
    told: ApiError | None = None
    refused: RefusedCall | None = None


class _WouldPass(Exception):
    """Ends a rehearsal at the door: it would be let in."""

    def __init__(self, held: Rehearsed) -> None:
        super().__init__()
        self.held = held


class _RehearsedChat(ChatCompletions):
    """The chat endpoint up to its admission."""

    input_tokens: int | None = None

    async def admit(self, context: CallContext, wanted: Admission) -> OpenCall:
        """Say by an exception what the admission would do."""
        if self.input_tokens is not None:
            wanted = replace(wanted, bound=replace(wanted.bound, input_tokens=self.input_tokens))
        reserve = sync_to_async(rehearsal.rehearse)
        raise _WouldPass(await admission.rehearse(live_limits.look, reserve, wanted))


async def rehearse(
    engine: Engine, key: KeySnapshot, *, body: bytes, input_tokens: int | None = None
) -> Verdict:
    """Return what a chat request of the key would get; with `input_tokens` its prompt is taken to be so long."""
    context = _context(engine, key, body)
    view = _RehearsedChat()
    view.input_tokens = input_tokens
    try:
        if reason := key.inactive_reason(time.time()):
            raise INACTIVE[reason](key=key)
        await view.dispatch(_Request(context))
    except _WouldPass as passed:
        return Verdict(held=passed.held)
    except redis.exceptions.RedisError:
        return Verdict(told=LIMITS_UNKNOWN)
    except Exception as error:  # the API boundary, as in `gateway.asgi`
        told = errors.from_exception(error)
        if told.code == "internal_error":
            raise
        return Verdict(told=told, refused=refusal_record.record(context, told, error, key=key))
    raise AssertionError("a rehearsal ends at the door")


class _Request(HttpRequest):
    """As much of a request as the endpoint reads."""

    def __init__(self, context: CallContext) -> None:
        self.path, self.method, self.call_context = PATH, "POST", context


def _context(engine: Engine, key: KeySnapshot, body: bytes) -> CallContext:
    request_id = ids.new_uuid()
    return CallContext(
        engine=engine,
        request_id=request_id,
        headers=[],
        by_name={},
        body=body,
        client_address="",
        receive=_nothing_comes,
        send=_nothing_goes,
        public_id=ids.encode(request_id),
        seat=key,
    )


async def _nothing_comes() -> Message:
    raise AssertionError("a rehearsal reads nothing from a client")


async def _nothing_goes(message: dict[str, Any]) -> None:
    raise AssertionError("a rehearsal sends nothing to a client")
