"""`manage.py ledger verify`: check the invariants of money over the live database."""

from typing import Any

from billing.verify import verify
from exerati.lib.operator import OperatorCommand


class Command(OperatorCommand):
    """Look after the ledger."""

    help = "Check the invariants of money."
    actions = {"verify": "check every invariant of money; ends with 1 if one is broken"}

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
        """Print the findings, then end with 1 if any invariant is broken."""
        super().handle(*args, **options)
        if self._broken:
            raise SystemExit(1)
