"""The names of routing strategies; `gateway.routes.strategies` says what each does."""

from typing import Literal

Strategy = Literal["priority", "weighted", "cheapest", "fastest", "latency", "throughput", "sticky"]
