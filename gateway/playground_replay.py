"""What the playground is filled with when a request of the log is to be tried again."""

from dataclasses import dataclass
from typing import Any

from accounts.middleware import OrganizationRequest
from billing import refusal_log, request_log


@dataclass(frozen=True, slots=True)
class Replay:
    """A request of the log: its model, and its body where the organization keeps bodies."""

    request_id: str
    model: str
    body: dict[str, Any] | None = None

    def data(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"request_id": self.request_id, "model": self.model, "body": self.body}


def find(request: OrganizationRequest, public_id: str) -> Replay | None:
    """Return the request that an address names, if it is the organization's."""
    request_id = request_log.parse_id(public_id) if public_id else None
    if request_id is None:
        return None
    event = request_log.find(request.organization, request_id)
    found = event or refusal_log.find(request.organization, request_id)
    if found is None:
        return None
    return Replay(request_log.public_id(request_id), found.model)
