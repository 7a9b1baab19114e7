"""
How samples of code name the reader's key: always by one environment variable, with a line that sets it.

Owns the variable's name, what stands for a key of nobody, and what a signed-in reader's own key begins with. A whole
key is never known here.
"""

from functools import cached_property
from typing import Final

from django.http import HttpRequest

VARIABLE: Final = "EXERATI_API_KEY"
NOBODYS: Final = "sk-your-api-key"


class OwnKey:
    """What samples show of the reader's key; asks the database once, where it is shown."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def prefix(self) -> str:
        """Return what the key begins with and dots for the rest, "" for readers without one."""
        for membership in getattr(self._request, "memberships", ()):
            keys = membership.organization.api_keys.filter(revoked_at=None, disabled_at=None)
            # Test keys first: every sample runs with one, and costs nothing.
            if key := keys.order_by("-mode", "-created_at").first():
                return f"{key.key_prefix}…"
        return ""

    @property
    def set_line(self) -> str:
        """Return the line for a shell that sets the variable to it."""
        return set_line(self.prefix)


def set_line(key: str = "") -> str:
    """Return the line for a shell that sets the variable to a key, or to what stands for nobody's."""
    return f'export {VARIABLE}="{key or NOBODYS}"'
