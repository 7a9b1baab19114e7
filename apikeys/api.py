"""Takes reports of leaked keys from secret scanners, as GitHub's partner programme sends them."""

import base64
import hashlib
import json
import logging
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from apikeys import leaks
from exerati.lib import signed_reports

logger = logging.getLogger(__name__)


@csrf_exempt  # a scanner has no session; its signature takes the place of the token
@require_POST
def report_leaks(request: HttpRequest) -> HttpResponse:
    """
    Act on each match of a signed report; the answer says of each whether it was the secret of a key.

    401 for a report that nobody we know has signed, 400 for one that is no list of matches. One that is too large
    never gets here (`exerati.body_limit`).
    """
    if not settings.LEAK_REPORT_KEYS:
        return _refusal("Reports of leaked keys are switched off.", status=404)
    try:
        signed_reports.verify(
            request.body,
            identifier=request.headers.get("github-public-key-identifier", ""),
            signature=request.headers.get("github-public-key-signature", ""),
            keys=settings.LEAK_REPORT_KEYS,
        )
    except signed_reports.BadSignature:
        logger.warning("a report of leaked keys without a good signature was refused")
        return _refusal("The signature is not good.", status=401)
    try:
        matches = _matches(request.body)
    except ValueError:
        return _refusal("The body is no list of matches, each with its token.", status=400)
    return JsonResponse([_answer(match) for match in matches], safe=False)


def _refusal(words: str, *, status: int) -> HttpResponse:
    return HttpResponse(words, status=status, content_type="text/plain")


def _matches(body: bytes) -> list[dict[str, Any]]:
    found = json.loads(body)
    if not isinstance(found, list):
        raise ValueError("no list")
    if not all(isinstance(one, dict) and isinstance(one.get("token"), str) for one in found):
        raise ValueError("no matches")
    return found


def _answer(match: dict[str, Any]) -> dict[str, str]:
    token = match["token"]
    found = leaks.report(
        token,
        place=str(match.get("url") or ""),
        source=f"a secret scanner ({match.get('source') or 'public'})",
    )
    return {
        "token_hash": base64.b64encode(
            hashlib.sha256(token.encode("utf-8", "replace")).digest()
        ).decode(),
        "token_type": str(match.get("type") or ""),
        "label": "true_positive" if found else "false_positive",
    }
