"""The mail of a notification: to every member whom it concerns by role and whose address is verified, once."""

from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.adapters import verified_addresses
from accounts.permissions import Action, roles_that
from billing.alerting.alert_words import told
from billing.alerting.told import Told
from billing.models import Notification
from exerati.drawing import formats

# Of the light theme in static/css/tokens.css: a mail has no tokens.
# Who gets the mail: whoever may do this. Of money it is those who pay, of leaked keys those who answer for everything.
READERS = {Notification.Kind.LEAK: Action.MANAGE_ORGANIZATION}
BAR_COLOURS = {"danger": "#b42318", "warn": "#8a5300", "neutral": "#0b6b53"}


@transaction.atomic
def send(notification_id: int) -> int:
    """
    Send a notification's mail; return to how many addresses it went, 0 when that was done before.

    The row is locked until the mail is out, so that two tasks do not both send it. A process that ends between the
    two sends it again later: better twice than never. Raises what the mail backend raises.
    """
    waiting = Notification.objects.select_for_update(skip_locked=True, of=("self",))
    notice = (
        waiting.filter(pk=notification_id, by_mail=True, mailed_at=None)
        .select_related("organization", "key")
        .first()
    )
    if notice is None:
        return 0
    addresses = verified_addresses(notice.organization, action=_readers(notice))
    if addresses:
        message(notice, addresses=addresses).send()
    notice.mailed_at = timezone.now()
    notice.save(update_fields=["mailed_at"])
    return len(addresses)


def message(notice: Notification, *, addresses: list[str]) -> EmailMultiAlternatives:
    """Return the mail, as text and as HTML."""
    context = _context(notice)
    subject = render_to_string("emails/notification.subject.txt", context)
    mail = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=render_to_string("emails/notification.txt", context),
        to=addresses,
        headers={"Auto-Submitted": "auto-generated"},
    )
    mail.attach_alternative(render_to_string("emails/notification.html", context), "text/html")
    return mail


def _context(notice: Notification) -> dict[str, object]:
    words = told(notice)
    label, path = action(notice, words=words)
    zone = ZoneInfo(notice.organization.time_zone)
    ends_at = words.ends_at and words.ends_at.astimezone(zone)
    return {
        "organization": notice.organization,
        "told": words,
        "ends_at": f"on {formats.moment_text(ends_at)}" if ends_at else "",
        "used_percent": min(100, max(1, words.used * 100 // words.limit)) if words.limit else 0,
        "bar_colour": BAR_COLOURS[words.tone],
        "action_label": label,
        "action_url": settings.SITE_URL + path,
        "list_url": settings.SITE_URL
        + reverse("dashboard:notifications", args=[notice.organization.slug]),
        "role_words": _listed([role.lower() for role in roles_that(_readers(notice))]),
        "is_always_sent": notice.kind == Notification.Kind.LEAK,
    }


def _readers(notice: Notification) -> Action:
    return READERS.get(Notification.Kind(notice.kind), Action.MANAGE_BILLING)


def action(notice: Notification, *, words: Told) -> tuple[str, str]:
    """Return what to press, and the path it leads to."""
    slug = notice.organization.slug
    if notice.key is None or notice.key.is_seat:
        return _without_key(notice)
    path = reverse("dashboard:key", args=[slug, notice.key.public_id])
    if notice.kind == Notification.Kind.LEAK:
        return "Look at the key, rotate it", path
    return ("Look at the key, unfreeze it" if words.is_frozen else "Open the key"), path


def _without_key(notice: Notification) -> tuple[str, str]:
    name, label = (
        ("overview", "See the budgets")
        if notice.kind == Notification.Kind.BUDGET
        else ("billing", "Open billing")
    )
    return label, reverse(f"dashboard:{name}", args=[notice.organization.slug])


def _listed(words: list[str]) -> str:
    """Return `owner, admin or billing member`."""
    return f"{', '.join(words[:-1])} or {words[-1]} member"
