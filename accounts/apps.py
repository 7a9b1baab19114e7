"""App configuration of accounts."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        """Make the tasks known by name."""
        from accounts import tasks  # noqa: F401  models are loaded only now
