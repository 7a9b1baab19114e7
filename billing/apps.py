"""App configuration of billing."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        # The web process must know the task names.
        from billing import invoice_tasks, reconciliation_tasks, tasks  # noqa: F401
