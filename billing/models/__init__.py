"""Prices, budget counters, reservations, usage events, roll-ups, ledger and credit lots."""

from billing.models.budgets import BillingAccount, Budget, Reservation
from billing.models.ledger import CreditLot, LedgerAccount, LedgerTransfer
from billing.models.prices import PriceVersion, ProviderCostVersion, RateCard
from billing.models.usage import Attempt, OutboxMessage, TokenCounts, UsageEvent, UsageRollup

__all__ = [
    "Attempt",
    "BillingAccount",
    "Budget",
    "CreditLot",
    "LedgerAccount",
    "LedgerTransfer",
    "OutboxMessage",
    "PriceVersion",
    "ProviderCostVersion",
    "RateCard",
    "Reservation",
    "TokenCounts",
    "UsageEvent",
    "UsageRollup",
]
