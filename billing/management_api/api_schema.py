"""How the management API describes itself (OpenAPI 3.1): its own endpoints alone, their credentials and errors."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

from billing.management_api import api_rows

ERRORS = dict.fromkeys((400, 401, 403, 404), api_rows.ErrorAnswer)
KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key with the endpoint `management`.",
}
SESSION = {"type": "apiKey", "in": "cookie", "name": "sessionid"}


class ManagementSchema(AutoSchema):
    """Describes an endpoint of the management API."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Return the ways in: a key, or a session."""
        for name, scheme in (("key", KEY), ("session", SESSION)):
            self.registry.register_on_missing(_component(name, scheme))
        return [{"key": []}, {"session": []}]

    def get_tags(self) -> list[str]:
        """Put all of it under one heading."""
        return ["management"]


def _component(name: str, scheme: dict[str, str]) -> Any:
    return ResolvedComponent(  # type: ignore[no-untyped-call]
        name=name, type=ResolvedComponent.SECURITY_SCHEMA, object=name, schema=scheme
    )


def only_management(endpoints: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Leave out what is no endpoint of the management API, the schema itself included."""
    return [
        endpoint
        for endpoint in endpoints
        if endpoint[0].startswith("/api/") and endpoint[0] != "/api/schema"
    ]
