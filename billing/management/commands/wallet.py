"""`manage.py wallet grant`: credit that nobody paid for."""

import uuid
from argparse import ArgumentParser
from datetime import datetime

from django.core.management.base import CommandError

from billing import wallet
from billing.management.commands.key import organization_of
from billing.models import CreditLot
from exerati.lib import money
from exerati.lib.operator import Answer, OperatorCommand, iso, moment, usd


class Command(OperatorCommand):
    """Wallets."""

    help = "Give credit to an organization."
    actions = {"grant": "give credit", "show": "show what a wallet holds"}

    def add_grant_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options of `wallet grant`."""
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--amount", required=True, type=usd, metavar="USD")
        parser.add_argument("--reason", required=True, help="why; kept in the ledger")
        parser.add_argument("--expires", type=moment, metavar="DATE")
        parser.add_argument(
            "--once", metavar="WORD", help="a repeat with the same word does nothing"
        )

    def grant(
        self, *, organization: str, amount: int, reason: str, expires: datetime | None, once: str
    ) -> Answer:
        """Give credit."""
        if amount == 0:
            raise CommandError("Give an amount above 0, such as --amount 25.00.")
        owner = organization_of(organization)
        try:
            lot = wallet.grant(
                owner,
                amount_nanousd=amount,
                source=CreditLot.Source.GRANT,
                idempotency_key=f"operator:{owner.pk}:{once or uuid.uuid4()}",
                reason=reason,
                expires_at=expires,
            )
        except wallet.IdempotencyConflict as error:
            raise CommandError(f"--once {once} was used for another amount.") from error
        granted = {"granted_usd": money.usd_text(lot.amount_nanousd), "reason": reason}
        return {
            **self.show(organization=organization),
            **granted,
            "expires_at": iso(lot.expires_at),
        }

    def add_show_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options of `wallet show`."""
        parser.add_argument("--organization", required=True, metavar="SLUG")

    def show(self, *, organization: str) -> dict[str, object]:
        """Show balance and what is free of it."""
        owner = organization_of(organization)
        return {
            "organization": owner.slug,
            "balance_usd": money.usd_text(wallet.balance_nanousd(owner)),
            "available_usd": money.usd_text(wallet.available_nanousd(owner)),
        }
