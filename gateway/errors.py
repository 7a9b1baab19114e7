"""
The one table from what went wrong to what a customer of /v1 is told: status, type, code and headers.

The envelope is OpenAI's, so that its SDKs raise the right class; `docs_url`, `request_id` and, for money, the
counters are our additions. Codes are stable, sentences are not. No answer tells of our accounts with providers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import psycopg
from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.db import InterfaceError, OperationalError

from apikeys import authentication
from apikeys.authentication import AuthenticationFailed
from billing.budgets import BillingUnavailable, BudgetExceeded, KeyInactive
from billing.pricing import PriceMissing
from exerati.lib import money
from gateway import budget_refusal
from gateway.admission import RequestTooDear
from gateway.generations import GenerationNotFound
from gateway.json_body import InvalidBody
from gateway.limits import RateLimited
from gateway.open_call import CallCut
from gateway.providers.base import ProviderError
from gateway.providers.registry import NoAdapter
from gateway.routing import ModelNotAllowed, ModelNotFound, NoRoute
from gateway.sse import EventTooLarge
from gateway.wire_checks import InvalidRequest

_INVALID: Final = "invalid_request_error"
_SERVER: Final = "server_error"

# Code -> status and type. A code that is not here is a fault of the request: 400.
_CODES: Final[Mapping[str, tuple[int, str]]] = {
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
    "unknown_url": (404, _INVALID),
    "generation_not_found": (404, _INVALID),
    "method_not_allowed": (405, _INVALID),
    "request_timeout": (408, _INVALID),
    "request_too_large": (413, _INVALID),
    "unsupported_media_type": (415, _INVALID),
    "insufficient_quota": (429, "insufficient_quota"),
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
        self.status, known_type = _CODES.get(code, (400, _INVALID))
        self.type = type or known_type
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        self.details = dict(details or {})


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
    """Return the answer to a route of OpenAI's that we do not have."""
    return ApiError("not_supported", f"{path} is part of OpenAI's API that Exerati does not offer.")


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


def unsupported_media_type(found: str) -> ApiError:
    """Return the answer to a body that is not declared as JSON."""
    return ApiError(
        "unsupported_media_type",
        f"The content type {found[:60]!r} is not supported. Send JSON with 'content-type: application/json'.",
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


_KEY_SENTENCES: Final[Mapping[type[AuthenticationFailed], tuple[str, str]]] = {
    authentication.KeyMissing: (
        "missing_api_key",
        "You did not provide an API key. Send it in the header 'Authorization: Bearer YOUR_KEY'; "
        "keys are made on the API keys page of the dashboard.",
    ),
    authentication.KeyInvalid: (
        "invalid_api_key",
        "Incorrect API key provided{shown}. Copy it whole, or make a new one on the API keys page.",
    ),
    authentication.KeyRevoked: (
        "key_revoked",
        "This API key{shown} was revoked. Make a new one on the API keys page.",
    ),
    authentication.KeyExpired: (
        "key_expired",
        "This API key{shown} has expired. Make a new one on the API keys page.",
    ),
    authentication.KeyDisabled: (
        "key_disabled",
        "This API key{shown} is disabled. Its owner can enable it on the API keys page.",
    ),
    authentication.IpNotAllowed: (
        "ip_not_allowed",
        "This API key{shown} may not be used from your IP address. Its owner can change the allow-list.",
    ),
    authentication.OrganizationSuspended: (
        "organization_suspended",
        "The organization of this API key{shown} is suspended. Write to support to find out why.",
    ),
    authentication.TwoKeys: (
        "conflicting_credentials",
        "The request carries two different API keys. Send one, in 'Authorization' or in 'x-api-key'.",
    ),
}


def _authentication_failed(error: AuthenticationFailed) -> ApiError:
    code, sentence = _KEY_SENTENCES.get(type(error), _KEY_SENTENCES[authentication.KeyInvalid])
    shown = f" ({error.shown})" if error.shown else ""
    return ApiError(code, sentence.format(shown=shown))


def _key_inactive(error: KeyInactive) -> ApiError:
    return _authentication_failed(authentication.INACTIVE[error.reason]())


def _rate_limited(error: RateLimited) -> ApiError:
    seconds = error.retry_after_seconds
    headers = {
        "retry-after": str(max(1, math.ceil(seconds))),
        "retry-after-ms": str(math.ceil(seconds * 1000)),
    }
    wait = f"Try again in {seconds:.3g} s, or raise the limit on the API keys page."
    if error.kind == "concurrency":
        message = f"This key has {error.limit:,} calls open, as many as it may. {wait}"
        return ApiError("concurrency_limit_exceeded", message, headers=headers)
    if error.kind == "requests":
        message = f"This key is over its limit of {error.limit:,} requests a minute. {wait}"
        return ApiError("rate_limit_exceeded", message, headers=headers)
    if error.slot.tokens > error.limit:
        return ApiError(
            "rate_limit_exceeded",
            f"This call may use {error.slot.tokens:,} tokens, more than this key's limit of {error.limit:,} a "
            "minute. Send a shorter prompt or a smaller max_completion_tokens, or raise the limit.",
            type="tokens",
            headers={"x-should-retry": "false"},
        )
    message = f"This key is over its limit of {error.limit:,} tokens a minute. {wait}"
    return ApiError("rate_limit_exceeded", message, type="tokens", headers=headers)


def _budget_exceeded(error: BudgetExceeded) -> ApiError:
    """Tell the whole sum; SDKs must not retry, which they would at every other 429."""
    return ApiError(
        "insufficient_quota",
        budget_refusal.sentences(error),
        headers={"x-should-retry": "false"},
        details=budget_refusal.details(error),
    )


# Kind of a provider's fault -> our code and sentence; None: the provider's own (scrubbed) words.
_PROVIDER_KINDS: Final[Mapping[str, tuple[str, str | None]]] = {
    "bad_request": ("invalid_request", None),
    "context_length": ("context_length_exceeded", None),
    "content_policy": ("content_policy_violation", None),
    "not_found": (
        "provider_unavailable",
        "The provider of this model does not offer it right now.",
    ),
    "auth": ("provider_unavailable", "The provider of this model is not available right now."),
    "quota": ("provider_unavailable", "The provider of this model is not available right now."),
    "rate_limited": ("provider_overloaded", "The provider of this model has too many requests."),
    "overloaded": ("provider_overloaded", "The provider of this model is overloaded."),
    "server": ("provider_error", "The provider of this model failed."),
    "timeout": ("provider_timeout", "The provider of this model did not answer in time."),
    "connection": ("provider_error", "The connection to the provider of this model broke."),
    "bad_answer": ("provider_bad_answer", "The provider of this model sent an unreadable answer."),
}
_PROVIDER_RETRY_SECONDS: Final = 2


def _provider_error(error: ProviderError) -> ApiError:
    """Never a 401 or 429 for a fault of our account: the customer's key and limits are fine."""
    code, sentence = _PROVIDER_KINDS[error.kind]
    if error.kind == "bad_request" and error.code:
        code = error.code if error.code not in _CODES else code
    headers = {}
    if _CODES.get(code, (400, ""))[0] == 503:
        seconds = error.retry_after_seconds or _PROVIDER_RETRY_SECONDS
        headers["retry-after"] = str(math.ceil(seconds))
    message = (
        error.message if sentence is None else f"{sentence} Try again, or choose another model."
    )
    return ApiError(code, message, param=error.param, headers=headers)


def _unavailable(error: Exception) -> ApiError:
    seconds = getattr(error, "retry_after_seconds", 2)
    return ApiError(
        "service_unavailable",
        "Exerati cannot take new calls for the moment. Nothing was charged. Try again shortly.",
        headers={"retry-after": str(seconds)},
    )


def _model_not_found(error: ModelNotFound) -> ApiError:
    return ApiError(
        "model_not_found",
        f"The model '{error.model[:120]}' does not exist for this endpoint. GET /v1/models lists those that do.",
        param="model",
    )


def _model_not_allowed(error: ModelNotAllowed) -> ApiError:
    return ApiError(
        "model_not_allowed",
        f"This API key may not use the model '{error.model[:120]}'. Its owner can change the key's models.",
        param="model",
    )


def _too_dear(error: RequestTooDear) -> ApiError:
    return ApiError(
        "request_too_dear",
        f"This call may cost up to {money.display(error.needed_nanousd)}, more than this key allows for one request "
        f"({money.display(error.cap_nanousd)}). Send a shorter prompt or a smaller max_completion_tokens.",
    )


_CUTS: Final[Mapping[str, tuple[str, str]]] = {
    "key_inactive": (
        "key_revoked",
        "The API key was revoked, disabled or expired while this call was running.",
    ),
    "idle_upstream": (
        "provider_timeout",
        "The provider of this model stopped answering. Try again.",
    ),
    "slow_reader": ("request_timeout", "The answer was not read for too long, so it was stopped."),
    "lease_lost": (
        "service_unavailable",
        "The call was stopped because its reservation could not be renewed.",
    ),
}


def _call_cut(error: CallCut) -> ApiError:
    return ApiError(*_CUTS.get(error.reason, ("request_timeout", "The call was stopped.")))


def _no_provider(error: Exception) -> ApiError:
    model = getattr(error, "model", "")
    named = f"the model '{model[:120]}'" if model else "this model"
    return ApiError(
        "no_provider",
        f"No provider for {named} is switched on at the moment. Choose another model, or ask whoever runs this "
        "gateway to set one up.",
        headers={"x-should-retry": "false"},
    )


_TABLE: Final[Mapping[type[BaseException], Callable[[Any], ApiError]]] = {
    InvalidBody: lambda error: ApiError("invalid_json", error.message, param=error.param),
    InvalidRequest: lambda error: ApiError(error.code, error.message, param=error.param),
    AuthenticationFailed: _authentication_failed,
    KeyInactive: _key_inactive,
    ModelNotFound: _model_not_found,
    ModelNotAllowed: _model_not_allowed,
    NoRoute: _no_provider,
    NoAdapter: _no_provider,
    PriceMissing: _no_provider,
    GenerationNotFound: lambda error: ApiError(
        "generation_not_found", "Your organization made no call with this id.", param="id"
    ),
    TooManyFieldsSent: lambda error: ApiError("invalid_request", "Too many query parameters."),
    RateLimited: _rate_limited,
    BudgetExceeded: _budget_exceeded,
    RequestTooDear: _too_dear,
    CallCut: _call_cut,
    ProviderError: _provider_error,
    EventTooLarge: lambda error: _provider_error(ProviderError("bad_answer", "")),
    BillingUnavailable: _unavailable,
    OperationalError: _unavailable,
    InterfaceError: _unavailable,
    psycopg.OperationalError: _unavailable,
}
