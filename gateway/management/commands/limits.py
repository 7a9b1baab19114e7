"""`manage.py limits rebuild`: make the rate limits anew from the database after Redis was wiped."""

from typing import Any

from django.utils import timezone

from exerati.lib.operator import OperatorCommand
from gateway.rate_limits.limits_rebuild import rebuild


class Command(OperatorCommand):
    """Look after the rate limits."""

    help = "Rebuild the rate limits in Redis."
    actions = {
        "rebuild": "write open calls and the last minute's use of every key into Redis; safe at any time"
    }

    def rebuild(self, **options: Any) -> dict[str, int]:
        """Return how many keys and open calls were written."""
        return rebuild(now=timezone.now())
