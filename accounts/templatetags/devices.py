"""How the browser of a session is called, and the session itself in a form."""

from allauth.usersessions.models import UserSession
from django import template

from accounts import devices, sessions

register = template.Library()


@register.filter
def device_name(user_agent: str) -> str:
    """Return the browser and its system in words, with a capital at the start of a line."""
    name = devices.name_of(user_agent)
    return name if name.startswith(("curl", "macOS", "iP")) else name[:1].upper() + name[1:]


@register.filter
def is_phone(user_agent: str) -> bool:
    """Say whether the browser runs on a phone or tablet."""
    return devices.is_phone(user_agent)


@register.filter
def session_handle(session: UserSession) -> str:
    """Return what a form names a session by."""
    return sessions.handle_of(session)
