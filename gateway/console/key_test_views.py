"""
"Test this key": one simulated call by the rules of a key, made by the member's session.

The secret is not needed, nor kept anywhere to be used. The call takes the whole way through the gateway under the
member's test seat, which is given the key's scopes and parameters: simulated, free, and in the log as the member's own.
The list of allowed addresses is left out, since the call does not come from where the key is used.
"""

import fnmatch
import json
import time

from asgiref.sync import sync_to_async
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST
from msgspec.structs import replace

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, organization_page
from apikeys import seats
from apikeys.models import ApiKey
from exerati.lib.example_models import EXAMPLE_MODELS
from gateway.asgi import Gateway
from gateway.console import playground
from gateway.console.playground_views import CHAT_PATH, PlainAnswer, plain_answer
from gateway.console.session_call import SCOPE_KEY, SeatClosed, SessionCall, seat_snapshot

# The rules of a key that the call is made by.
TRIED = (
    "model_patterns",
    "modalities",
    "endpoints",
    "max_request_nanousd",
    "max_output_tokens",
    "strict_parameters",
)
WORDS = {
    "revoked": "The key is revoked, so every call is refused.",
    "disabled": "The key is disabled: enable it, and its calls are answered again.",
    "expired": "The key has expired, so every call is refused.",
    "suspended": "The organization is suspended, so nothing can be called.",
}


@require_POST
@organization_page(Action.MANAGE_KEYS)
async def key_test(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Make the call and show what came of it."""
    key = await sync_to_async(_key)(request, public_id=public_id)
    model = await sync_to_async(_model)(key)
    gateway: Gateway | None = getattr(request, "scope", {}).get(SCOPE_KEY)
    if gateway is None:
        told = PlainAnswer(
            code="unavailable",
            message="This process serves pages only. Call /v1 with the key instead.",
        )
    else:
        digest = await sync_to_async(_seat)(request, key)
        told = await _call(gateway, key, seat_digest=digest, model=model)
    context = {"key": key, "model": model, "answer": told, "nav_active": "keys"}
    return await sync_to_async(render)(request, "gateway/key_test.html", context)


def _key(request: OrganizationRequest, *, public_id: str) -> ApiKey:
    own = request.organization.api_keys.select_related("project")
    return get_object_or_404(own, public_id=public_id)


def _seat(request: OrganizationRequest, key: ApiKey) -> bytes:
    """Return the digest of the member's test seat in the key's project."""
    seat = seats.take(
        request.organization, user=request.user, project=key.project, mode=ApiKey.Mode.TEST
    )
    return bytes(seat.key_hash)


def _model(key: ApiKey) -> str:
    """Return a chat model that the key may call, the example for choice; the example where there is none."""
    example = EXAMPLE_MODELS[ApiKey.Mode.TEST]
    names = sorted((one.name for one in playground.choices()), key=lambda name: name != example)
    return next((name for name in names if _allows(key, name)), example)


def _allows(key: ApiKey, name: str) -> bool:
    return not key.model_patterns or any(
        fnmatch.fnmatchcase(name, one) for one in key.model_patterns
    )


async def _call(gateway: Gateway, key: ApiKey, *, seat_digest: bytes, model: str) -> PlainAnswer:
    try:
        rules = await seat_snapshot(gateway, bytes(key.key_hash), now=time.time())
        seat = await seat_snapshot(gateway, seat_digest, now=time.time())
    except SeatClosed as closed:
        return PlainAnswer(code=f"key_{closed.reason}", message=WORDS.get(closed.reason, ""))
    seat = replace(seat, **{name: getattr(rules, name) for name in TRIED})
    body = {"model": model, "messages": [{"role": "user", "content": "Does this key work?"}]}
    made = SessionCall(gateway, seat, path=CHAT_PATH, body=json.dumps(body).encode())
    await made.start(headers={"content-type": "application/json"})
    return plain_answer(made.status, await made.whole())
