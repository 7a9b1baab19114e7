"""
The one table from what went wrong to what a customer of /v1 is told: status, type, code and headers.

The envelope is OpenAI's, so that its SDKs raise the right class; `docs_url`, `request_id` and, for money, the
counters are our additions. Codes are stable (`gateway.api_error`), sentences (`gateway.error_words`) are not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import psycopg
from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.db import InterfaceError, OperationalError

from apikeys.authentication import AuthenticationFailed
from billing.budgets import BillingUnavailable, BudgetExceeded, KeyInactive
from billing.pricing import PriceMissing
from gateway import error_words
from gateway.admission import RequestTooDear
from gateway.api_error import ApiError as ApiError  # whoever deals with errors finds all of it here
from gateway.generations import GenerationNotFound
from gateway.idempotency import IdempotencyProblem
from gateway.json_body import InvalidBody
from gateway.open_call import CallCut
from gateway.providers.base import ProviderError
from gateway.providers.registry import NoAdapter
from gateway.rate_limits.limits import RateLimited
from gateway.routes.routing import ModelNotAllowed, ModelNotFound, NoMatchingRoute, NoRoute
from gateway.sse import EventTooLarge
from gateway.wire_checks import InvalidRequest


def from_exception(error: Exception) -> ApiError:
    """Return what to tell of an exception; one that nobody foresaw is `internal_error`, without its text."""
    if isinstance(error, ApiError):
        return error
    for kind in type(error).__mro__:
        if kind in _TABLE:
            return _TABLE[kind](error)
    return ApiError(
        "internal_error",
        "Something went wrong on our side. The call was not charged. "
        "If it goes on, write to support with the request id.",
    )


def body(error: ApiError, *, request_id: str) -> dict[str, Any]:
    """Return the JSON body of an error, in OpenAI's envelope."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
            "docs_url": f"{settings.SITE_URL}/docs/errors#{error.code}",
            "request_id": request_id,
            **error.details,
        }
    }


def stream_error(error: ApiError, *, request_id: str) -> bytes:
    """Return the payload of a stream's last event: the same object, at whose `error` the SDKs raise."""
    return msgspec.json.encode(body(error, request_id=request_id))


def not_supported(path: str) -> ApiError:
    """Return the answer to a route of OpenAI's or Anthropic's that we do not have."""
    maker = "Anthropic" if "/messages/" in path else "OpenAI"
    return ApiError(
        "not_supported",
        f"{path} is part of {maker}'s API that Exerati does not offer. GET /v1/openapi.json lists what it does.",
        headers={"x-should-retry": "false"},
    )


def unknown_url(method: str, path: str) -> ApiError:
    """Return the answer to a route that nobody has."""
    return ApiError(
        "unknown_url", f"There is no {method} {path}. Check the base URL: it ends with /v1."
    )


def method_not_allowed(method: str, *, allowed: Sequence[str]) -> ApiError:
    """Return the answer to a route that is called by a method it does not have."""
    listed = ", ".join(allowed)
    return ApiError(
        "method_not_allowed",
        f"This route does not take {method[:20]}. Use one of: {listed}.",
        headers={"allow": listed},
    )


def request_too_large(max_bytes: int) -> ApiError:
    """Return the answer to a body over the limit."""
    return ApiError(
        "request_too_large",
        f"The request body is larger than {max_bytes // 2**20} MiB. Send less, or give links to large files.",
    )


def unsupported_media_type(
    found: str, *, wanted: str = "JSON with 'content-type: application/json'"
) -> ApiError:
    """Return the answer to a body that is not declared as what the route takes."""
    return ApiError(
        "unsupported_media_type",
        f"The content type {found[:60]!r} is not supported. Send {wanted}.",
    )


def request_timeout(seconds: float) -> ApiError:
    """Return the answer to a body that did not arrive in time."""
    return ApiError(
        "request_timeout", f"The request body did not arrive within {seconds:g} seconds."
    )


def unknown_parameters(names: Sequence[str]) -> ApiError:
    """Return the answer to parameters that nobody knows, for a key that asks for strictness."""
    listed = ", ".join(f"'{name}'" for name in names)
    return ApiError(
        "unknown_parameter",
        f"Unrecognized request argument: {listed}. Remove it, or switch off strict parameters for this key.",
        param=names[0],
    )


def endpoint_not_allowed(path: str) -> ApiError:
    """Return the answer to a key whose scope does not take in the endpoint."""
    return ApiError(
        "endpoint_not_allowed",
        f"This API key may not call {path}. Its owner can allow it on the API keys page.",
    )


_TABLE: Final[Mapping[type[BaseException], Callable[[Any], ApiError]]] = {
    InvalidBody: lambda error: ApiError("invalid_json", error.message, param=error.param),
    InvalidRequest: lambda error: ApiError(error.code, error.message, param=error.param),
    AuthenticationFailed: error_words.authentication_failed,
    KeyInactive: error_words.key_inactive,
    ModelNotFound: error_words.model_not_found,
    ModelNotAllowed: error_words.model_not_allowed,
    NoRoute: error_words.no_provider,
    NoMatchingRoute: error_words.no_matching_route,
    NoAdapter: error_words.no_provider,
    PriceMissing: error_words.no_provider,
    GenerationNotFound: lambda error: ApiError(
        "generation_not_found", "Your organization made no call with this id.", param="id"
    ),
    TooManyFieldsSent: lambda error: ApiError("invalid_request", "Too many query parameters."),
    IdempotencyProblem: error_words.idempotency_problem,
    RateLimited: error_words.rate_limited,
    BudgetExceeded: error_words.budget_exceeded,
    RequestTooDear: error_words.too_dear,
    CallCut: error_words.call_cut,
    ProviderError: error_words.provider_error,
    EventTooLarge: lambda error: error_words.provider_error(ProviderError("bad_answer", "")),
    BillingUnavailable: error_words.unavailable,
    OperationalError: error_words.unavailable,
    InterfaceError: error_words.unavailable,
    psycopg.OperationalError: error_words.unavailable,
}
