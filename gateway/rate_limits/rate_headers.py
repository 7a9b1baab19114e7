"""OpenAI's rate-limit headers; resets are durations such as `6m0s` or `120ms`."""

from gateway.rate_limits.limit_types import Allowance, TakeSlot


def rate_headers(slot: TakeSlot, allowance: Allowance) -> list[tuple[bytes, bytes]]:
    """Return the six headers of a key's state after this call."""
    return [
        (b"x-ratelimit-limit-requests", b"%d" % slot.requests_per_minute),
        (b"x-ratelimit-limit-tokens", b"%d" % slot.tokens_per_minute),
        (b"x-ratelimit-remaining-requests", b"%d" % allowance.remaining_requests),
        (b"x-ratelimit-remaining-tokens", b"%d" % allowance.remaining_tokens),
        (b"x-ratelimit-reset-requests", duration(allowance.reset_requests_ms)),
        (b"x-ratelimit-reset-tokens", duration(allowance.reset_tokens_ms)),
    ]


def duration(milliseconds: int) -> bytes:
    """Return a duration as OpenAI writes it: `0s`, `120ms`, `1.5s`, `6m0s`."""
    if 0 < milliseconds < 1000:
        return b"%dms" % milliseconds
    minutes, rest = divmod(max(0, milliseconds), 60_000)
    seconds = f"{rest / 1000:g}s".encode()
    return b"%dm%s" % (minutes, seconds) if minutes else seconds
