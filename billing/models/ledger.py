"""The double-entry ledger and the credit lots of wallets."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models import Organization


class LedgerAccount(models.Model):
    """An account of the double-entry ledger; house accounts have no organization."""

    class Kind(models.TextChoices):
        WALLET = "wallet"
        RECEIVABLE = "receivable"
        UNBILLED = "unbilled"
        ROUNDING_CARRY = "rounding_carry"
        DISPUTED = "disputed"
        STRIPE_CLEARING = "stripe_clearing"
        REVENUE = "revenue"
        PROMO_EXPENSE = "promo_expense"
        BREAKAGE = "breakage"
        TAX_PAYABLE = "tax_payable"
        TAX_RECEIVABLE = "tax_receivable"
        BAD_DEBT = "bad_debt"
        DISPUTE_FEES = "dispute_fees"

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="ledger_accounts",
    )
    kind = models.CharField(max_length=16, choices=Kind.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "kind"], name="one_account_each_kind", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization or 'house'}: {self.kind}"


class LedgerTransfer(models.Model):
    """
    One balanced posting: an amount is debited to one account and credited to another; append-only by trigger.

    A business event of several legs shares its idempotency key and numbers them. An amount is never negative;
    a reversal is a new transfer the other way round.
    """

    idempotency_key = models.CharField(max_length=120)
    leg = models.PositiveSmallIntegerField(default=0)
    kind = models.CharField(max_length=30)
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    debit_account = models.ForeignKey(
        LedgerAccount,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="debits",
    )
    credit_account = models.ForeignKey(
        LedgerAccount,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="credits",
    )
    amount_nanousd = models.BigIntegerField()
    reason = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["idempotency_key", "leg"], name="one_transfer_each_leg"
            ),
            models.CheckConstraint(
                condition=models.Q(amount_nanousd__gt=0), name="transfer_amount_positive"
            ),
            models.CheckConstraint(
                condition=~models.Q(debit_account=models.F("credit_account")),
                name="transfer_between_two_accounts",
            ),
        ]
        indexes = [
            # The ledger page of one organization, and what lots are still to be drawn for.
            models.Index(fields=["organization", "-id"], name="transfers_by_organization"),
            # The ledger page: what was not the use of a call. Calls have no part in it, so it costs them nothing.
            models.Index(
                fields=["organization", "created_at", "id"],
                condition=~models.Q(kind__in=["usage", "trueup"]),
                name="transfers_beside_usage",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_nanousd}"


class CreditLot(models.Model):
    """
    Credit that entered a wallet at one time, from one source, perhaps with an end.

    What is not drawn of it (`LotDraw`), taken back, expired or frozen remains: `ledger verify` adds it up.
    """

    class Source(models.TextChoices):
        TRIAL = "trial"
        GRANT = "grant"
        PURCHASE = "purchase"

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="credit_lots"
    )
    source = models.CharField(max_length=8, choices=Source.choices)
    idempotency_key = models.CharField(max_length=120, unique=True)
    amount_nanousd = models.BigIntegerField()
    remaining_nanousd = models.BigIntegerField()
    reversed_nanousd = models.BigIntegerField(default=0)  # refunded or charged back
    expired_nanousd = models.BigIntegerField(default=0)
    frozen_nanousd = models.BigIntegerField(default=0)  # disputed, and not yet decided
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    remaining_nanousd__gte=0,
                    reversed_nanousd__gte=0,
                    expired_nanousd__gte=0,
                    frozen_nanousd__gte=0,
                ),
                name="lot_parts_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    amount_nanousd__gte=models.F("remaining_nanousd")
                    + models.F("reversed_nanousd")
                    + models.F("expired_nanousd")
                    + models.F("frozen_nanousd")
                ),
                name="lot_parts_within_amount",
            ),
        ]
        indexes = [
            # Draw order: what expires first, then what came first.
            models.Index(
                fields=["organization", "expires_at", "created_at"], name="lots_in_draw_order"
            ),
            # What is to expire.
            models.Index(
                fields=["expires_at"],
                condition=models.Q(remaining_nanousd__gt=0, expires_at__isnull=False),
                name="lots_to_expire",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.amount_nanousd}"


class TrueUp(models.Model):
    """
    The late settlement of a call that the sweep had ended at an estimate; one for each call at most.

    `wanted` is what its own process would have charged, within the bound; `applied` is by how much the charge was
    changed for it. The rest, `wanted - estimated - applied`, is our loss where it is above zero (no room in a
    budget, or invoiced already), and owed to the customer where it is below (invoiced already).
    """

    request_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    occurred_at = models.DateTimeField()
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    estimated_nanousd = models.BigIntegerField()
    wanted_nanousd = models.BigIntegerField()
    applied_nanousd = models.BigIntegerField()
    provider_cost_nanousd = models.BigIntegerField(null=True)
    was_invoiced = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(estimated_nanousd__gte=-models.F("applied_nanousd")),
                name="trueup_leaves_no_credit",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.request_id} {self.applied_nanousd}"
