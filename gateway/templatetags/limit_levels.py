"""What pages of other apps show of a key's rate limits at this moment: the gateway's own partials use these tags."""

from django import template

from apikeys.models import ApiKey
from gateway.rate_limits import limit_levels
from gateway.rate_limits.limit_levels import Level

register = template.Library()


@register.simple_tag
def key_levels(key: ApiKey) -> list[Level]:
    """Return a key's limits and how much of each is in use now; none while Redis is away. One round trip."""
    return limit_levels.of_key(key)
