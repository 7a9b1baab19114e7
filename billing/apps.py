"""App configuration of billing."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        # The web process must know the task names.
        from apikeys import spend
        from billing import tasks  # noqa: F401
        from billing.comparisons import reconciliation_tasks  # noqa: F401
        from billing.invoices import invoice_tasks  # noqa: F401
        from billing.read_models import key_report

        spend.provide(key_report.spent_by_key_this_month)
