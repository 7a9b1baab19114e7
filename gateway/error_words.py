"""
What a customer is told of each exception: a code, sentences that say what to do, and headers.

No answer tells of our accounts with providers. `gateway.errors` has the table of which exception comes here.
"""

import math
from collections.abc import Mapping
from typing import Final

from django.conf import settings

from apikeys import authentication
from apikeys.authentication import AuthenticationFailed
from billing.budgets import BudgetExceeded, KeyInactive
from exerati.lib import money
from gateway import budget_refusal
from gateway.admission import RequestTooDear
from gateway.api_error import CODES, ApiError
from gateway.idempotency import IdempotencyProblem, Problem
from gateway.open_call import CallCut
from gateway.providers.base import ProviderError
from gateway.rate_limits.limits import RateLimited
from gateway.routes.routing import ModelNotAllowed, ModelNotFound, NoMatchingRoute

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
    authentication.KeyLeaked: (
        "key_disabled",
        "This API key{shown} was found in public, so it was disabled. Rotate it on the API keys page: it works again "
        "with the new secret alone.",
    ),
    authentication.KeyFrozen: (
        "key_disabled",
        "This API key{shown} spent far more than usual, so it was frozen. Its owner can unfreeze it on the API keys "
        "page, or revoke it if the calls were not yours.",
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


def authentication_failed(error: AuthenticationFailed) -> ApiError:
    code, sentence = _KEY_SENTENCES.get(type(error), _KEY_SENTENCES[authentication.KeyInvalid])
    shown = f" ({error.shown})" if error.shown else ""
    return ApiError(code, sentence.format(shown=shown))


def key_inactive(error: KeyInactive) -> ApiError:
    return authentication_failed(authentication.INACTIVE[error.reason]())


def rate_limited(error: RateLimited) -> ApiError:
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


def budget_exceeded(error: BudgetExceeded) -> ApiError:
    """Tell the whole sum; SDKs must not retry, which they would at every other 429."""
    if error.refusal.scope == budget_refusal.PAST_DUE:
        page = f"{settings.SITE_URL}{budget_refusal.INVOICES_PAGE}"
        return ApiError(
            "invoice_past_due",
            f"An invoice of the organization is long overdue, so calls are refused. Pay it at {page}: calls are "
            "admitted again at once.",
            headers={"x-should-retry": "false"},
            details={"scope": budget_refusal.PAST_DUE, "pay_url": page},
        )
    return ApiError(
        "insufficient_quota",
        budget_refusal.sentences(error, site_url=settings.SITE_URL),
        headers={"x-should-retry": "false"},
        details=budget_refusal.details(error, site_url=settings.SITE_URL),
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


def provider_error(error: ProviderError) -> ApiError:
    """Never a 401 or 429 for a fault of our account: the customer's key and limits are fine."""
    code, sentence = _PROVIDER_KINDS[error.kind]
    if error.kind == "bad_request" and error.status == 413:
        code = "request_too_large"
    elif error.kind == "bad_request" and error.code:
        code = error.code if error.code not in CODES else code
    headers = {}
    if CODES.get(code, (400, ""))[0] == 503:
        seconds = error.retry_after_seconds or _PROVIDER_RETRY_SECONDS
        headers["retry-after"] = str(math.ceil(seconds))
    message = (
        error.message if sentence is None else f"{sentence} Try again, or choose another model."
    )
    return ApiError(code, message, param=error.param, headers=headers)


def unavailable(error: Exception) -> ApiError:
    seconds = getattr(error, "retry_after_seconds", 2)
    return ApiError(
        "service_unavailable",
        "Exerati cannot take new calls for the moment. Nothing was charged. Try again shortly.",
        headers={"retry-after": str(seconds)},
    )


def model_not_found(error: ModelNotFound) -> ApiError:
    return ApiError(
        "model_not_found",
        f"The model '{error.model[:120]}' does not exist for this endpoint. GET /v1/models lists those that do.",
        param="model",
    )


def model_not_allowed(error: ModelNotAllowed) -> ApiError:
    return ApiError(
        "model_not_allowed",
        f"This API key may not use the model '{error.model[:120]}'. Its owner can change the key's models.",
        param="model",
    )


_IDEMPOTENCY: Final[Mapping[Problem, tuple[str, str]]] = {
    "invalid": (
        "invalid_value",
        "An 'Idempotency-Key' is 1 to 255 visible ASCII characters. A random UUID will do.",
    ),
    "reused": (
        "idempotency_key_reused",
        "This 'Idempotency-Key' was used for another request. Make a new one for each request.",
    ),
    "in_flight": (
        "idempotency_in_flight",
        "The first request with this 'Idempotency-Key' is still running. Ask again shortly for its answer.",
    ),
    "lost": (
        "idempotency_answer_lost",
        "The first request with this 'Idempotency-Key' has ended and was charged for what it delivered, but its "
        "answer is not there to be repeated. Make a new key to call again.",
    ),
}


def idempotency_problem(error: IdempotencyProblem) -> ApiError:
    code, message = _IDEMPOTENCY[error.problem]
    is_running = error.problem == "in_flight"
    headers = {"retry-after": "1"} if is_running else {"x-should-retry": "false"}
    return ApiError(code, message, param="Idempotency-Key", headers=headers)


def no_matching_route(error: NoMatchingRoute) -> ApiError:
    return ApiError(
        "no_matching_route",
        f"No provider of the model '{error.model[:120]}' is left by '{error.param}'. Loosen it, or choose another "
        "model; GET /v1/models/{id}/endpoints lists who serves a model.",
        param=error.param,
        headers={"x-should-retry": "false"},
    )


def too_dear(error: RequestTooDear) -> ApiError:
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
    "deadline": (
        "deadline_exceeded",
        "The call took longer than its deadline. What had been delivered is charged, and the prompt where the "
        "deadline was yours. Allow more time, or ask for less output.",
    ),
    "slow_reader": ("request_timeout", "The answer was not read for too long, so it was stopped."),
    "lease_lost": (
        "service_unavailable",
        "The call was stopped because its reservation could not be renewed.",
    ),
    "shutdown": (
        "service_unavailable",
        "The call was stopped because this server is being replaced. Nothing was charged. Try again.",
    ),
}


def code_of_cut(reason: str) -> str:
    """Return the code that a client is told of a reason to cut its call; what is none is returned as it is."""
    return _CUTS[reason][0] if reason in _CUTS else reason


def code_of_kind(kind: str) -> str:
    """Return the code that a client is told of a kind of provider's fault; "" of none."""
    return _PROVIDER_KINDS[kind][0] if kind in _PROVIDER_KINDS else kind


def call_cut(error: CallCut) -> ApiError:
    code, message = _CUTS.get(error.reason, ("request_timeout", "The call was stopped."))
    # The same deadline would end it again, and each time the prompt is paid.
    headers = {"x-should-retry": "false"} if error.reason == "deadline" else {}
    return ApiError(code, message, headers=headers)


def no_provider(error: Exception) -> ApiError:
    model = getattr(error, "model", "")
    named = f"the model '{model[:120]}'" if model else "this model"
    return ApiError(
        "no_provider",
        f"No provider for {named} is switched on at the moment. Choose another model, use a test key, which needs "
        "none, or ask whoever runs this gateway to set one up.",
        headers={"x-should-retry": "false"},
    )
