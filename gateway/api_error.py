"""The error of /v1 as a value: a stable code, from which status and type follow, and what to tell about it."""

from collections.abc import Mapping
from typing import Any, Final

_INVALID: Final = "invalid_request_error"
_SERVER: Final = "server_error"

# Code -> status and type. A code that is not here is a fault of the request: 400.
CODES: Final[Mapping[str, tuple[int, str]]] = {
    "missing_api_key": (401, _INVALID),
    "invalid_api_key": (401, _INVALID),
    "key_revoked": (401, _INVALID),
    "key_expired": (401, _INVALID),
    "key_disabled": (401, _INVALID),
    "ip_not_allowed": (401, _INVALID),
    "conflicting_credentials": (400, _INVALID),
    "organization_suspended": (403, _INVALID),
    "model_not_allowed": (403, _INVALID),
    "endpoint_not_allowed": (403, _INVALID),
    "model_not_found": (404, _INVALID),
    "no_matching_route": (404, _INVALID),
    "unknown_url": (404, _INVALID),
    "generation_not_found": (404, _INVALID),
    "method_not_allowed": (405, _INVALID),
    "request_timeout": (408, _INVALID),
    "idempotency_in_flight": (409, _INVALID),
    "idempotency_answer_lost": (409, _INVALID),
    "request_too_large": (413, _INVALID),
    "unsupported_media_type": (415, _INVALID),
    "idempotency_key_reused": (422, _INVALID),
    "headers_too_large": (431, _INVALID),
    "insufficient_quota": (429, "insufficient_quota"),
    "invoice_past_due": (429, "insufficient_quota"),
    "rate_limit_exceeded": (429, "requests"),
    "concurrency_limit_exceeded": (429, "requests"),
    "internal_error": (500, _SERVER),
    "not_supported": (501, _INVALID),
    "provider_error": (502, _SERVER),
    "provider_bad_answer": (502, _SERVER),
    "no_provider": (503, _SERVER),
    "provider_unavailable": (503, _SERVER),
    "provider_overloaded": (503, _SERVER),
    "service_unavailable": (503, _SERVER),
    "provider_timeout": (504, _SERVER),
    "deadline_exceeded": (504, _SERVER),
}


class ApiError(Exception):
    """What a customer is told; status and type follow from the code, unless `type` is given."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        type: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.status, known_type = CODES.get(code, (400, _INVALID))
        self.type = type or known_type
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        self.details = dict(details or {})
