"""App configuration of billing."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import invoice_tasks, tasks  # noqa: F401  the web process must know the task names
