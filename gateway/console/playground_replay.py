"""What the playground is filled with when a request of the log is to be tried again."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from accounts import view_as
from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, allows
from billing.bodies import stored_bodies
from billing.read_models import refusal_log, request_log


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
    return Replay(request_log.public_id(request_id), found.model, _body(request, request_id))


def _body(request: OrganizationRequest, request_id: UUID) -> dict[str, Any] | None:
    """Return the stored body for those who may read it; our staff sees bodies on their own page only, audited."""
    if not allows(request.membership.role, Action.READ_BODIES):
        return None
    if view_as.is_viewed_as(request):
        return None
    stored = stored_bodies.read(request.organization, request_id, now=timezone.now())
    try:
        body = json.loads(stored.request) if stored else None
    except ValueError:
        return None
    return body if isinstance(body, dict) and isinstance(body.get("messages"), list) else None
