"""Prices, budget counters, reservations, usage events, refusals, alerts, roll-ups, ledger, credit lots, invoices."""

from billing.models.alerts import (
    AlertSettings,
    ChangedSpend,
    Notification,
    NotificationRead,
    WalletWatch,
)
from billing.models.budgets import BillingAccount, Budget, BudgetRaise, Reservation
from billing.models.collection import CreditNote, DunningStep, StripePush
from billing.models.days import LatencyDayRollup, TagDayRollup, UsageDayRollup
from billing.models.invoice_returns import InvoiceDispute, InvoiceRefund
from billing.models.invoices import (
    Adjustment,
    BillingPeriod,
    Invoice,
    InvoiceLine,
    InvoicePart,
    InvoiceShare,
)
from billing.models.ledger import CreditLot, LedgerAccount, LedgerTransfer, TrueUp
from billing.models.lots import LotDraw, WalletDraws, WalletHour
from billing.models.payments import (
    AutoTopUp,
    Dispute,
    Refund,
    StripeCustomer,
    StripeEvent,
    TopUp,
)
from billing.models.prices import MarkupRule, PriceVersion, ProviderCostVersion, RateCard
from billing.models.reconciliation import (
    ProviderCostImport,
    ProviderCostLine,
    ReconItem,
    ReconRun,
)
from billing.models.refusals import RefusedRequest
from billing.models.request_pages import SavedView, StoredBody
from billing.models.rollups import LatencyRollup, TagRollup
from billing.models.usage import Attempt, OutboxMessage, TokenCounts, UsageEvent, UsageRollup

__all__ = [
    "Adjustment",
    "AlertSettings",
    "Attempt",
    "AutoTopUp",
    "BillingAccount",
    "BillingPeriod",
    "Budget",
    "BudgetRaise",
    "ChangedSpend",
    "CreditLot",
    "CreditNote",
    "Dispute",
    "DunningStep",
    "Invoice",
    "InvoiceDispute",
    "InvoiceLine",
    "InvoicePart",
    "InvoiceRefund",
    "InvoiceShare",
    "LatencyDayRollup",
    "LatencyRollup",
    "LedgerAccount",
    "LedgerTransfer",
    "LotDraw",
    "MarkupRule",
    "Notification",
    "NotificationRead",
    "OutboxMessage",
    "PriceVersion",
    "ProviderCostImport",
    "ProviderCostLine",
    "ProviderCostVersion",
    "RateCard",
    "ReconItem",
    "ReconRun",
    "Refund",
    "RefusedRequest",
    "Reservation",
    "SavedView",
    "StoredBody",
    "StripeCustomer",
    "StripeEvent",
    "StripePush",
    "TagDayRollup",
    "TagRollup",
    "TokenCounts",
    "TopUp",
    "TrueUp",
    "UsageDayRollup",
    "UsageEvent",
    "UsageRollup",
    "WalletDraws",
    "WalletHour",
    "WalletWatch",
]
