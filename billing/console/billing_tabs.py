"""The tabs of the billing pages; a page that is not there yet is left out."""

from django.urls import NoReverseMatch, reverse

from accounts.models import Organization
from accounts.permissions import Action, allows
from billing.console.page_query import Link

# Name of the tab, name of its address, and what a role must be allowed to see it.
TABS = (
    ("Overview", "billing", Action.VIEW),
    ("Ledger", "ledger", Action.VIEW),
    ("Invoices", "invoices", Action.VIEW),
    ("Settings", "billing_settings", Action.MANAGE_BILLING),
)


def tabs(organization: Organization, *, role: str, present: str) -> list[Link]:
    """Return the tabs that a role may open; `present` is the name of the address of the page shown."""
    found = []
    for label, name, action in TABS:
        if not allows(role, action):
            continue
        try:
            href = reverse(f"dashboard:{name}", args=[organization.slug])
        except NoReverseMatch:
            continue
        found.append((label, href, name == present))
    return found
