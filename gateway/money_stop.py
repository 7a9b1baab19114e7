"""
The clean end of a stream that would cost more than was reserved for it.

The bound of a call is reserved whole and sent to the provider, so an honest provider never comes here. One that takes
no bound (quirk `no_output_bound`) has its reservation extended in steps, as long as every budget has room and the
customer named no maximum; one that goes beyond its bound is cut.
"""

import math
from typing import Literal

import msgspec
from msgspec.structs import replace

from billing import pricing
from billing.budgets import BillingUnavailable, ReservationLost
from gateway.engine import Engine
from gateway.open_call import OpenCall
from gateway.providers.base import ServeAs, StreamTranslator
from gateway.providers.chat_stream import CHUNK
from gateway.providers.openai.quirks import NO_OUTPUT_BOUND

StopReason = Literal["", "budget", "output_bound"]
# The provider counts by its own vocabulary, which may make fewer tokens of a text than ours: only a count that no
# vocabulary explains is an overrun. Nobody pays for it but us, since the charge ends at the bound.
OVERRUN_DIVISOR = 2
OVERRUN_TOKENS = 64
STEP_TOKENS = 1_024
MIN_BYTES = 256


class OutputWatch:
    """
    Watches the output of one stream. `check_at` is how many bytes of the provider may be read before the output has
    to be counted again: a token is at least one byte, so until then the bound cannot have been passed.
    """

    def __init__(self, engine: Engine, call: OpenCall) -> None:
        self._engine = engine
        self._call = call
        self._steps = 0
        # What is not priced by its text is measured elsewhere.
        unwatched = call.measure is not None or not call.bound.output_tokens
        self.check_at: float = math.inf if unwatched else self._allowed_tokens

    async def must_stop(self, read_bytes: int) -> StopReason:
        """Count what was delivered; return why the stream has to end, or "" and set the next check."""
        counted = self._call.count_output()
        if counted > self._allowed_tokens:
            if not self._takes_no_bound:
                return "output_bound"
            if not await self._extend():
                return "budget"
        self.check_at = read_bytes + max(MIN_BYTES, self._allowed_tokens - counted)
        return ""

    @property
    def _takes_no_bound(self) -> bool:
        route = self._call.serving
        return route is not None and NO_OUTPUT_BOUND in route.upstream.quirks

    @property
    def _allowed_tokens(self) -> int:
        bound = self._call.bound.output_tokens
        return bound if self._takes_no_bound else bound + bound // OVERRUN_DIVISOR + OVERRUN_TOKENS

    async def _extend(self) -> bool:
        """Reserve one more step of output; return whether the customer, the key and every budget let us."""
        call = self._call
        if not call.may_extend:
            return False
        tokens = max(STEP_TOKENS, call.bound.output_tokens // 4)
        bound = replace(call.bound, output_tokens=call.bound.output_tokens + tokens)
        upper = max(call.upper_nanousd, pricing.upper_bound_nanousd(bound, price=call.price))
        most = call.key.max_request_nanousd
        if most is not None and upper > most:
            return False
        try:
            extended = await self._engine.budgets.extend(
                call.request_id, step=self._steps + 1, more_nanousd=upper - call.upper_nanousd
            )
        except (BillingUnavailable, ReservationLost):
            return False
        if extended:
            self._steps += 1
            call.bound, call.upper_nanousd = bound, upper
        return extended


def end_cleanly(translator: StreamTranslator, serve_as: ServeAs, reason: StopReason) -> bytes:
    """
    Return the last chunk of an answer that was stopped, and mark the answer as cut at its length.

    The reason stands in the chunk and beside the usage, as `exerati.stop_reason`.
    """
    stopped = {"stop_reason": reason}
    translator.finish_reason = "length"
    translator.usage = None  # what the provider said so far is not the final word: the count holds
    translator.usage_extra = {**translator.usage_extra, "exerati": stopped}
    return msgspec.json.encode(
        {
            "id": serve_as.id,
            "object": CHUNK,
            "created": serve_as.created,
            "model": serve_as.model,
            "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}],
            "exerati": stopped,
        }
    )
