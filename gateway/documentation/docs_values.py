"""The values of the documentation's placeholders: addresses, default limits, and the table of errors."""

from collections.abc import Mapping
from typing import Final

from django.conf import settings

from accounts import invitations
from accounts.models import Membership
from accounts.permissions import deeds_of
from apikeys import own_key
from billing.console.page_words import WITHOUT_ANSWER
from exerati.lib import money
from gateway import errors
from gateway.documentation import docs_changelog, docs_reference
from gateway.providers.sandbox.sandbox import SANDBOX_MODELS

# Code -> what it means, what to do. Codes without a status of their own are faults of the request: 400.
ERROR_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "invalid_json": ("The body is not valid JSON.", "Send one JSON object, each key once."),
    "invalid_form": (
        "The form (multipart) cannot be read, or holds too much.",
        "Send it with the SDK, or as the message says.",
    ),
    "missing_required_parameter": ("A required field is missing.", "Add the field in `param`."),
    "invalid_type": ("A field has the wrong type.", "Correct the field in `param`."),
    "invalid_value": ("A field has a value that means nothing.", "Correct the field in `param`."),
    "unsupported_value": (
        "The value is OpenAI's, but not served here.",
        "Choose another value, as the message says.",
    ),
    "unsupported_parameter": (
        "The parameter is OpenAI's, but not served here or not by this model.",
        "Leave it out.",
    ),
    "unknown_parameter": (
        "Nobody knows the parameter, and the key asks for strictness.",
        "Leave it out, or switch strict parameters off for the key.",
    ),
    "invalid_request": ("The provider refused the request.", "Read the message, change the call."),
    "context_length_exceeded": (
        "Prompt and output do not fit the model's context.",
        "Shorten the messages or lower `max_completion_tokens`.",
    ),
    "content_policy_violation": (
        "The provider's safety system refused the content.",
        "Change the prompt.",
    ),
    "request_too_dear": (
        "The call may cost more than the key allows for one request.",
        "Shorten the prompt, lower `max_completion_tokens`, or raise the key's cap.",
    ),
    "generation_not_found": (
        "The organization made no call with this id.",
        "Send the `id` of an answer, or its `x-request-id`.",
    ),
    "conflicting_credentials": ("Two different keys were sent.", "Send one key."),
    "missing_api_key": ("No key was sent.", "Send `Authorization: Bearer YOUR_KEY`."),
    "invalid_api_key": ("The key is malformed or nobody's.", "Copy it whole, or make a new one."),
    "key_revoked": ("The key was revoked.", "Make a new key."),
    "key_expired": ("The key's end date has passed.", "Make a new key."),
    "key_disabled": (
        "The key is switched off: by a member, or by itself since it was found in public or spent far more than "
        "usual. The message says which.",
        "Enable it on the API keys page; a key found in public is rotated there, and works with the new secret.",
    ),
    "ip_not_allowed": (
        "The key's allow-list does not hold your address.",
        "Call from an allowed address, or change the list.",
    ),
    "organization_suspended": ("The organization is suspended.", "Write to support."),
    "model_not_allowed": (
        "The key's scope does not hold this model.",
        "Choose another model, or change the key's models.",
    ),
    "endpoint_not_allowed": (
        "The key's scope does not hold this endpoint.",
        "Use another key, or change the key's endpoints.",
    ),
    "model_not_found": (
        "No model of that name serves this endpoint.",
        "Look up the id with `GET /v1/models`.",
    ),
    "idempotency_key_reused": (
        "The `Idempotency-Key` was used for another request.",
        "Make a new key for each request.",
    ),
    "idempotency_in_flight": (
        "The first request with this `Idempotency-Key` is still running.",
        "Ask again after `Retry-After`.",
    ),
    "idempotency_answer_lost": (
        "The first request was charged, but its answer cannot be repeated (too large, or its process ended).",
        "Make a new key to call again.",
    ),
    "no_matching_route": (
        "The `provider` preferences leave no route of this model.",
        "Loosen the preference in `param`, or choose another model.",
    ),
    "deadline_exceeded": (
        "The call took longer than its deadline.",
        "Allow more time in `x-exerati-timeout`, or ask for less output.",
    ),
    "unknown_url": ("There is no such route.", "The base URL ends with `/v1`."),
    "method_not_allowed": ("The route takes another method.", "Use the method of this reference."),
    "request_timeout": (
        "The body came, or the answer was read, too slowly.",
        "Try again on a better connection.",
    ),
    "invalid_http": (
        "What came is no valid HTTP, or may be read in two ways.",
        "Send it with the SDK or another HTTP client.",
    ),
    "headers_too_large": ("The headers have more than 64 KiB.", "Send fewer or shorter ones."),
    "request_too_large": ("The body is too large.", "Send less, or links to large files."),
    "unsupported_media_type": (
        "The body is not declared as JSON.",
        "Send `content-type: application/json`.",
    ),
    "insufficient_quota": (
        "A budget or the credit does not cover the most this call can cost.",
        "Lower `max_completion_tokens`, raise the budget, or add credit.",
    ),
    "invoice_past_due": (
        "An invoice of the organization is long overdue.",
        "Pay it on the page in `pay_url`; calls are admitted again at once.",
    ),
    "rate_limit_exceeded": (
        "The key's requests or tokens of this minute are used up.",
        "Wait as long as `retry-after` says.",
    ),
    "concurrency_limit_exceeded": (
        "The key has as many calls open as it may.",
        "Wait for one to end, or raise the key's limit.",
    ),
    "internal_error": ("Something broke on our side.", "Try again; nothing was charged."),
    "not_supported": (
        "The route is OpenAI's, but not offered here.",
        "Use the routes of this reference.",
    ),
    "provider_error": (
        "Every provider of the model failed.",
        "Try again, or choose another model.",
    ),
    "provider_bad_answer": ("The provider's answer was unreadable.", "Try again."),
    "no_provider": (
        "No provider of the model is switched on.",
        "Choose another model, or a test key (in the playground: the mode Test), which needs no provider.",
    ),
    "provider_unavailable": (
        "The provider does not serve the model right now.",
        "Try again later.",
    ),
    "provider_overloaded": (
        "The provider has too much to do.",
        "Wait as long as `retry-after` says.",
    ),
    "service_unavailable": ("We cannot take new calls for the moment.", "Try again shortly."),
    "provider_timeout": ("The provider did not answer in time.", "Try again, or stream."),
}


def values() -> dict[str, str]:
    """Return every placeholder's value."""
    return {
        "base_url": settings.API_BASE_URL,
        "root_url": settings.API_BASE_URL.removesuffix(
            "/v1"
        ),  # for clients that add /v1 themselves
        "site_url": settings.SITE_URL,
        "set_key": own_key.set_line(),
        "errors_table": errors_table(),
        "sandbox_table": sandbox_table(),
        "log_table": log_table(),
        "roles_table": roles_table(),
        "invitation_days": str(invitations.LIFE.days),
        "api_reference": docs_reference.markdown(),
        "changelog": docs_changelog.markdown(),
        "markup": settings.MARKUP_PERCENT,
        "least_topup": _dollars(settings.TOPUP_LEAST_CENTS),
        "most_topup": _dollars(settings.TOPUP_MOST_CENTS),
        "default_rpm": f"{settings.KEY_DEFAULT_RPM:,}",
        "default_tpm": f"{settings.KEY_DEFAULT_TPM:,}",
        "default_concurrency": f"{settings.KEY_DEFAULT_CONCURRENCY:,}",
        "trial_credit": money.display(settings.TRIAL_CREDIT_NANOUSD),
        "trial_days": str(settings.TRIAL_CREDIT_DAYS),
        "spike_floor": money.display(settings.ALERT_SPIKE_FLOOR_NANOUSD),
        "suggested_budget": money.display(settings.KEY_BUDGET_SUGGESTED_NANOUSD),
        "max_body_mib": str(settings.MAX_BODY_BYTES // 2**20),
        "max_messages": f"{settings.MAX_MESSAGES:,}",
        "upstream_retries": str(settings.UPSTREAM_RETRIES),
        "max_tools": f"{settings.MAX_TOOLS:,}",
        "keepalive_seconds": str(settings.KEEPALIVE_SECONDS),
        "slow_reader_seconds": str(settings.SLOW_READER_SECONDS),
        "first_byte_seconds": str(settings.UPSTREAM_FIRST_BYTE_SECONDS),
        "idle_seconds": str(settings.UPSTREAM_IDLE_SECONDS),
        "lease_seconds": str(settings.LEASE_SECONDS),
    }


def _dollars(cents: int) -> str:
    return money.display(cents * money.NANOUSD_PER_USD // 100)


def errors_table() -> str:
    """Return the Markdown table of every code with its status, in the order of the statuses."""
    rows = [(errors.ApiError(code, "").status, code, *words) for code, words in ERROR_WORDS.items()]
    head = "| Code | Status | What happened | What to do |\n| --- | --- | --- | --- |"
    lines = (
        f"| `{code}` | {status} | {what} | {fix} |" for status, code, what, fix in sorted(rows)
    )
    return "\n".join((head, *lines))


def sandbox_table() -> str:
    """Return the Markdown table of the models that behave as their name says."""
    head = "| Model | What it does |\n| --- | --- |"
    lines = (f"| `{model.name}` | {model.description} |" for model in SANDBOX_MODELS)
    return "\n".join((head, *lines))


def roles_table() -> str:
    """Return the Markdown table of the roles of members and what each may do."""
    lines = (f"| {role.label} | {'; '.join(deeds_of(role))} |" for role in Membership.Role)
    return "\n".join(("| Role | May |\n| --- | --- |", *lines))


def log_table() -> str:
    """Return the Markdown table of what the Requests page shows of calls that had no answer."""
    lines = (f"| `{reason}` | {what} |" for reason, what in WITHOUT_ANSWER.items())
    return "\n".join(("| Reason | What happened |\n| --- | --- |", *lines))
