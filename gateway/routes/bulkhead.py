"""
How many calls a provider may have open at once from this process, shared fairly between customers. Pure.

A slow provider so fills its own compartment, not the process; and of a full compartment no customer has more
than its share.
"""

from typing import Final

CROWDED_SHARE: Final = 0.5  # below it everybody takes what they like
KEPT_FREE_SHARE: Final = 0.1  # what one customer alone never takes


class Bulkhead:
    """The open calls of one provider, by organization id."""

    __slots__ = ("_by_organization", "limit", "open")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open = 0
        self._by_organization: dict[int, int] = {}

    def enter(self, organization_id: int) -> bool:
        """Take a place and return True, or return False when there is none for this customer."""
        own = self._by_organization.get(organization_id, 0)
        if self.open >= self.limit or own >= self._most(organization_id):
            return False
        self.open += 1
        self._by_organization[organization_id] = own + 1
        return True

    def leave(self, organization_id: int) -> None:
        """Give the place back."""
        self.open -= 1
        own = self._by_organization[organization_id] - 1
        if own:
            self._by_organization[organization_id] = own
        else:
            del self._by_organization[organization_id]

    def _most(self, organization_id: int) -> int:
        """Return how many places the customer may have at this moment."""
        alone = self.limit - int(self.limit * KEPT_FREE_SHARE)
        if self.open < CROWDED_SHARE * self.limit:
            return alone
        sharing = len(self._by_organization | {organization_id: 1})
        return alone if sharing == 1 else max(1, self.limit // sharing)
