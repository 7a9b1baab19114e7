"""
Stripe's webhooks: the inbox. The signature is checked on the raw body and the event is stored; all else comes after.

An answer of 200 means that the event is stored. Effects are applied by `billing.stripe_events`, which retrieves
what the event is about: its order, its repetition and its content count for nothing.
"""

import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing import stripe_client, stripe_events
from exerati.lib.queue import enqueue

logger = logging.getLogger(__name__)


@csrf_exempt  # Stripe has no session; its signature takes the place of the token
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """
    Store a signed event; 400 for one that is not Stripe's.

    One that is too large never gets here (`exerati.body_limit`).
    """
    if not (stripe_client.is_on() and settings.STRIPE_WEBHOOK_SECRET):
        return HttpResponse("Payments are switched off.", status=404, content_type="text/plain")
    try:
        event = stripe_client.event(
            request.body, signature=request.headers.get("stripe-signature", "")
        )
    except stripe_client.BadSignature:
        logger.warning("a webhook without a good signature was refused")
        return HttpResponse("The signature is not good.", status=400, content_type="text/plain")
    if stripe_events.store(event):
        enqueue("billing.apply_stripe_event", event_id=event.id)
    return HttpResponse("stored", content_type="text/plain")
