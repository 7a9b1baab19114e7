"""Which credit pays for what was used: draws of lots, how far they have come, and the hourly sums of a wallet's use."""

from django.db import models
from django.utils import timezone

from accounts.models import Organization
from billing.models.ledger import CreditLot


class LotDraw(models.Model):
    """
    What was drawn of a lot at one time, in nano-USD; below zero what went back into it. Append-only by trigger.

    Written by `billing.lots` only, behind the calls themselves: a draw covers the use of many.
    """

    lot = models.ForeignKey(CreditLot, on_delete=models.PROTECT, related_name="draws")
    amount_nanousd = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(amount_nanousd=0), name="draw_moves_something"
            )
        ]

    def __str__(self) -> str:
        return f"{self.lot_id} {self.amount_nanousd}"


class WalletDraws(models.Model):
    """
    How far the use of a wallet was drawn of its lots; its row is the lock of the lots.

    `transfer_id` is the last posting that was looked at: those of one organization are made under its wallet's lock,
    so their ids rise as they commit. `uncovered` is use that no lot was left for: a debt that the next credit pays.
    """

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    transfer_id = models.BigIntegerField(default=0)
    posted_nanousd = models.BigIntegerField(default=0)  # of the wallet's counter at the last look
    uncovered_nanousd = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(uncovered_nanousd__gte=0), name="uncovered_not_negative"
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.transfer_id}"


class WalletHour(models.Model):
    """
    What calls took from a wallet in one UTC hour, by when they were posted: so a ledger page need not read each.

    The postings themselves lie between `first_id` and `last_id`; late settlements that gave back are in the sum.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    hour = models.DateTimeField()
    postings = models.BigIntegerField()
    taken_nanousd = models.BigIntegerField()
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "hour"], name="one_sum_each_hour")
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.hour} {self.taken_nanousd}"
