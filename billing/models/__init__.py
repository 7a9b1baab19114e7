"""Prices, budget counters, reservations, usage events, refusals, alerts, roll-ups, ledger and credit lots."""

from billing.models.alerts import (
    AlertSettings,
    ChangedSpend,
    Notification,
    NotificationRead,
    WalletWatch,
)
from billing.models.budgets import BillingAccount, Budget, BudgetRaise, Reservation
from billing.models.ledger import CreditLot, LedgerAccount, LedgerTransfer, TrueUp
from billing.models.payments import Dispute, StripeCustomer, StripeEvent, TopUp
from billing.models.prices import PriceVersion, ProviderCostVersion, RateCard
from billing.models.refusals import RefusedRequest
from billing.models.rollups import LatencyRollup, TagRollup
from billing.models.usage import Attempt, OutboxMessage, TokenCounts, UsageEvent, UsageRollup

__all__ = [
    "AlertSettings",
    "Attempt",
    "BillingAccount",
    "Budget",
    "BudgetRaise",
    "ChangedSpend",
    "CreditLot",
    "Dispute",
    "LatencyRollup",
    "LedgerAccount",
    "LedgerTransfer",
    "Notification",
    "NotificationRead",
    "OutboxMessage",
    "PriceVersion",
    "ProviderCostVersion",
    "RateCard",
    "RefusedRequest",
    "Reservation",
    "StripeCustomer",
    "StripeEvent",
    "TagRollup",
    "TokenCounts",
    "TopUp",
    "TrueUp",
    "UsageEvent",
    "UsageRollup",
    "WalletWatch",
]
