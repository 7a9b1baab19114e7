"""How a session's browser is called."""

from django import template

from accounts import devices

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
