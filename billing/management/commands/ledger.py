"""
`manage.py ledger verify | rates | losses`: check the invariants of money over the live database, rate calls again, and
say what faults have cost.
"""

from argparse import ArgumentParser
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.utils import timezone

from billing.verification.losses import losses
from billing.verification.rerating import rerate
from billing.verification.verify import verify
from exerati.lib.operator import OperatorCommand


class Command(OperatorCommand):
    """Look after the ledger."""

    help = "Check the invariants of money."
    actions = {
        "verify": "check every invariant of money; ends with 1 if one is broken",
        "rates": "rate the newest calls again at their stored prices; ends with 1 if one differs",
        "losses": "provider costs of estimated and waived calls that nobody paid; 0 without faults",
    }
    _broken = False

    def add_losses_arguments(self, parser: ArgumentParser) -> None:
        """Declare the length of time."""
        parser.add_argument("--days", type=int, default=31, help="of the last so many days")

    def losses(self, *, days: int, **options: Any) -> dict[str, object]:
        """Return the figures of the last days."""
        now = timezone.now()
        return asdict(losses(since=now - timedelta(days=days), until=now))

    def add_rates_arguments(self, parser: ArgumentParser) -> None:
        """Declare how many."""
        parser.add_argument("--newest", type=int, default=100_000, help="so many calls")

    def rates(self, *, newest: int, **options: Any) -> dict[str, object]:
        """Return how many calls were rated again and how many differ."""
        found = rerate(newest)
        self._broken = bool(found.differ)
        return {**asdict(found), "examples": "; ".join(found.examples)}

    def verify(self, **options: Any) -> list[dict[str, object]]:
        """Return a row for each invariant."""
        findings = verify()
        self._broken = any(finding.broken for finding in findings)
        return [
            {
                "invariant": finding.name,
                "checked": finding.checked,
                "broken": finding.broken,
                "meaning": finding.meaning,
                "examples": "; ".join(finding.examples),
            }
            for finding in findings
        ]

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the findings, then end with 1 if anything is broken."""
        super().handle(*args, **options)
        if self._broken:
            raise SystemExit(1)
