"""What an organization is told of its payments: an automatic top-up that failed, a dispute and how it ended."""

from accounts.models import Organization
from billing.alerting import alerts
from billing.models import (
    AlertSettings,
    AutoTopUp,
    Dispute,
    Invoice,
    InvoiceDispute,
    Notification,
    TopUp,
)


def topup_failed(topup: TopUp, plan: AutoTopUp) -> None:
    """Tell that an automatic top-up failed, why, and whether there will be another."""
    _tell(
        topup.organization,
        occasion=f"topup:{topup.uuid}",
        details={
            "what": "topup_failed",
            "cents": topup.net_cents,
            "failure": topup.failure,
            "is_off": not plan.is_on,
            "declines": plan.declines,
        },
    )


def ceiling_reached(plan: AutoTopUp, *, month: str) -> None:
    """Tell, once a month, that the ceiling stops automatic top-ups."""
    _tell(
        plan.organization,
        occasion=f"topup_ceiling:{month}:{plan.ceiling_cents}",
        details={"what": "ceiling", "cents": plan.ceiling_cents},
    )


def dispute(topup: TopUp, row: Dispute) -> None:
    """Tell of a dispute and of each way it goes."""
    what = row.status if row.status in ("won", "lost") else "open"
    _tell(
        topup.organization,
        occasion=f"dispute:{row.stripe_id}:{what}",
        details={"what": f"dispute_{what}", "cents": topup.net_cents},
    )


def invoice_dispute(invoice: Invoice, row: InvoiceDispute) -> None:
    """Tell of a dispute of an invoice's payment and of each way it goes."""
    what = row.status if row.status in ("won", "lost") else "open"
    _tell(
        invoice.organization,
        occasion=f"dispute:{row.stripe_id}:{what}",
        details={
            "what": f"invoice_dispute_{what}",
            "cents": row.withdrawn_cents or invoice.due_cents,
            "invoice": invoice.number or invoice.public_id,
        },
    )


def _tell(organization: Organization, *, occasion: str, details: dict[str, object]) -> None:
    wanted = AlertSettings.objects.filter(organization=organization).first()
    alerts.tell(
        organization,
        wanted or AlertSettings(organization=organization),
        kind=Notification.Kind.PAYMENT,
        occasion=occasion,
        details=details,
    )
