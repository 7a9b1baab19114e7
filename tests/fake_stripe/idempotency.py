"""
Idempotency keys as Stripe keeps them: the first answer, errors too, once the work has begun.

The same key with other parameters is an error; keys are forgotten when tests say so, as Stripe does after a day.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.fake_stripe.state import StripeError


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer under a key."""

    fingerprint: str
    status: int
    body: bytes


@dataclass
class Keys:
    """All keys in use."""

    kept: dict[str, Kept] = field(default_factory=dict)

    def look(self, key: str, method: str, path: str, params: dict[str, Any]) -> Kept | None:
        """Return the answer of before. Raises Stripe's idempotency error for other parameters."""
        found = self.kept.get(key)
        if found is None:
            return None
        if found.fingerprint != _fingerprint(method, path, params):
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise StripeError(400, "idempotency_error", message)
        return found

    def keep(
        self, key: str, method: str, path: str, params: dict[str, Any], status: int, body: bytes
    ) -> None:
        """Keep an answer."""
        self.kept.setdefault(key, Kept(_fingerprint(method, path, params), status, body))

    def expire(self) -> None:
        """Forget every key."""
        self.kept.clear()


def _fingerprint(method: str, path: str, params: dict[str, Any]) -> str:
    return f"{method} {path} {json.dumps(params, sort_keys=True)}"
