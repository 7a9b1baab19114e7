"""Values of the rate limits, shared by the Redis and the local form."""

from typing import NamedTuple


class TakeSlot(NamedTuple):
    """One call that asks to be let in; `tokens` is the most it may use."""

    organization_id: int
    key_id: int
    request: str
    requests_per_minute: int
    tokens: int
    tokens_per_minute: int
    concurrency: int


class Allowance(NamedTuple):
    """The answer: `refused` is "" or the limit that refused; times in milliseconds."""

    refused: str
    remaining_requests: int
    reset_requests_ms: int
    remaining_tokens: int
    reset_tokens_ms: int
    retry_ms: int
