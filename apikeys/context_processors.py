"""The reader's key as samples of code show it, for every template."""

from django.http import HttpRequest

from apikeys.own_key import OwnKey


def own_key(request: HttpRequest) -> dict[str, OwnKey]:
    """Return it; a query runs only where a template shows it."""
    return {"own_key": OwnKey(request)}
