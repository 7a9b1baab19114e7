"""
The playground: a chat with up to three models, called by the member's session.

No key is involved. The calls go through the gateway as all others do (`gateway.console.session_call`), and are charged
to the organization under the member's seat.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts.middleware import OrganizationRequest
from accounts.models import Project
from accounts.permissions import (
    Action,
    allows,
    last_organization,
    organization_page,
    roles_that,
)
from apikeys import seats
from apikeys.models import ApiKey
from exerati.lib.example_models import EXAMPLE_MODELS
from gateway import errors
from gateway.asgi import Gateway
from gateway.console import error_advice, playground, playground_replay
from gateway.console.playground_form import PlaygroundForm
from gateway.console.session_call import (
    SCOPE_KEY,
    NoGateway,
    SeatClosed,
    SessionCall,
    seat_snapshot,
)

CHAT_PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """What came of the form without scripts: the text and its cost, or the error and what to do."""

    text: str = ""
    request_id: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: str = ""
    code: str = ""
    message: str = ""
    advice: str = ""


@require_safe
@organization_page(Action.VIEW)
def page(request: OrganizationRequest) -> HttpResponse:
    """Show the playground; `model` chooses one, `replay` fills in a request of the log."""
    replay = playground_replay.find(request, request.GET.get("replay", ""))
    initial = {"model": replay.model if replay else request.GET.get("model", "")}
    return _render(request, PlaygroundForm(initial=initial), replay=replay)


@require_safe
@login_required
def own_playground(request: HttpRequest) -> HttpResponse:
    """Lead to the playground of the organization that the member saw last: for links that know no organization."""
    own = last_organization(request)
    if own is None:
        return redirect("dashboard:organization_create")
    address = reverse("dashboard:playground", args=[own.slug])
    query = request.GET.urlencode()
    return redirect(f"{address}?{query}" if query else address)


@require_POST
@organization_page(Action.CALL_MODELS)
async def call(request: OrganizationRequest) -> HttpResponseBase:
    """Answer one call as `/v1/chat/completions` does, streams too."""
    body = request.read(settings.MAX_BODY_BYTES + 1)
    try:
        if len(body) > settings.MAX_BODY_BYTES:
            raise errors.request_too_large(settings.MAX_BODY_BYTES)
        made = await _made(request, request.GET, body=body)
    except (errors.ApiError, NoGateway, SeatClosed) as error:
        return _refused(error)
    answer: HttpResponseBase
    if made.is_stream:
        answer = StreamingHttpResponse(made.body(), status=made.status)
    else:
        answer = HttpResponse(await made.whole(), status=made.status)
    for name, value in made.headers:
        answer.headers[name] = value
    answer.headers["cache-control"] = "no-store"
    return answer


@require_POST
@organization_page(Action.CALL_MODELS)
async def answer(request: OrganizationRequest) -> HttpResponse:
    """Answer the form of a browser without scripts: the page again, with the whole answer."""
    form = PlaygroundForm(request.POST)
    if not form.is_valid():
        return await sync_to_async(_render)(request, form, status=422)
    found = await sync_to_async(playground.choices)()
    choice = next((one for one in found if one.name == form.cleaned_data["model"]), None)
    body = json.dumps(playground.body_of(form.cleaned_data, choice=choice)).encode()
    try:
        made = await _made(request, request.POST, body=body)
        told = plain_answer(made.status, await made.whole())
    except (NoGateway, SeatClosed) as error:
        told = PlainAnswer(code="unavailable", message=_sentence(error))
    return await sync_to_async(_render)(request, form, answer=told)


@require_POST
@organization_page(Action.CALL_MODELS)
async def first_call_run(request: OrganizationRequest) -> HttpResponse:
    """Make the example call for a newcomer, simulated and free, and say what came of it."""
    body = json.dumps(
        {
            "model": EXAMPLE_MODELS[ApiKey.Mode.TEST],
            "messages": [{"role": "user", "content": "Say hello"}],
        }
    )
    try:
        made = await _made(request, {"mode": "test"}, body=body.encode())
        told = plain_answer(made.status, await made.whole())
    except (NoGateway, SeatClosed) as error:
        told = PlainAnswer(code="unavailable", message=_sentence(error))
    if request.headers.get("HX-Request") != "true":
        return redirect("dashboard:overview", slug=request.organization.slug)
    return await sync_to_async(render)(request, "gateway/_first_call_run.html", {"answer": told})


async def _made(request: OrganizationRequest, wanted: Any, *, body: bytes) -> SessionCall:
    """Return the call, started; raises NoGateway or SeatClosed."""
    gateway: Gateway | None = getattr(request, "scope", {}).get(SCOPE_KEY)
    if gateway is None:
        raise NoGateway
    digest = await sync_to_async(_seat)(request, wanted)
    seat = await seat_snapshot(gateway, digest, now=time.time())
    made = SessionCall(gateway, seat, path=CHAT_PATH, body=body)
    await made.start(headers={"content-type": "application/json"})
    return made


def _seat(request: OrganizationRequest, wanted: Any) -> bytes:
    """Return the digest of the member's seat in the project and mode asked for."""
    projects = request.organization.projects
    chosen: Project | None = projects.filter(public_id=wanted.get("project", "")).first()
    seat = seats.take(
        request.organization,
        user=request.user,
        project=chosen or projects.get(is_default=True),
        mode=ApiKey.Mode.TEST if wanted.get("mode") == "test" else ApiKey.Mode.LIVE,
    )
    return bytes(seat.key_hash)


def _refused(error: Exception) -> HttpResponse:
    """Return an error that the gateway did not come to see, in the same envelope."""
    if isinstance(error, errors.ApiError):
        body: dict[str, Any] = errors.body(error, request_id="")
        return JsonResponse(body, status=error.status)
    code = (
        "organization_suspended" if getattr(error, "reason", "") == "suspended" else "unavailable"
    )
    return JsonResponse({"error": {"code": code, "message": _sentence(error)}}, status=503)


def _sentence(error: Exception) -> str:
    if isinstance(error, SeatClosed):
        return {
            "suspended": "The organization is suspended, so nothing can be called.",
        }.get(error.reason, "You may no longer call models for this organization.")
    return "This process serves pages only, so it cannot call models. Call /v1 with a key."


def plain_answer(status: int, data: bytes) -> PlainAnswer:
    """Return an answer of /v1/chat/completions, or an error of it, for a page."""
    body = json.loads(data)
    if status >= 400:
        error = body["error"]
        return PlainAnswer(
            code=error.get("code") or "",
            message=error["message"],
            request_id=error.get("request_id", ""),
            advice=error_advice.advice(error.get("code") or ""),
        )
    usage = body["usage"]
    return PlainAnswer(
        text=body["choices"][0]["message"].get("content") or "",
        request_id=body["id"].replace("chatcmpl-", "req_"),
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        cost=f"${usage.get('cost', 0):.9f}".rstrip("0").rstrip("."),
    )


def _render(
    request: OrganizationRequest,
    form: PlaygroundForm,
    *,
    answer: PlainAnswer | None = None,
    replay: playground_replay.Replay | None = None,
    status: int = 200,
) -> HttpResponse:
    found = playground.choices()
    slug = request.organization.slug
    wanted = form["model"].value() or ""
    model = playground.default_model(found, wanted)
    may_call = allows(request.membership.role, Action.CALL_MODELS)
    context = {
        "form": form,
        "mode": form["mode"].value() or playground.default_mode(found, model),
        "answer": answer,
        "models": found,
        "model": model,
        "unknown_model": wanted if wanted and wanted not in {one.name for one in found} else "",
        "parameters": [(one, form[one.name].value()) for one in playground.PARAMETERS],
        "page_data": {**playground.page_data(found), "replay": replay and replay.data()},
        "replay": replay,
        "projects": list(request.organization.projects.order_by("-is_default", "name")),
        "may_call": may_call,
        "cannot_call": not may_call,
        "roles": roles_that(Action.CALL_MODELS),
        "call_url": reverse("dashboard:playground_call", args=[slug]),
        "answer_url": reverse("dashboard:playground_answer", args=[slug]),
        "request_url": reverse("dashboard:request", args=[slug, "req_ID"]),
        "nav_active": "playground",
    }
    return render(request, "gateway/playground.html", context, status=status)
