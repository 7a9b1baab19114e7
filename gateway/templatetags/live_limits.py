"""What pages of other apps show of a key's rate limits at this moment: the gateway's own partials use these tags."""

from django import template

from apikeys.models import ApiKey
from gateway.rate_limits.live_limits import Use, uses

register = template.Library()


@register.simple_tag
def key_limits(key: ApiKey) -> list[tuple[str, Use]]:
    """Return a key's limits with how much of each is in use now; none while Redis is away. One round trip."""
    [found] = uses([key])
    if not found.is_known:
        return []
    return [
        ("Requests a minute", found.requests),
        ("Tokens a minute", found.tokens),
        ("Open calls", found.open_calls),
    ]
