"""App configuration of gateway."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"

    def ready(self) -> None:
        """Make the names of the tasks known to every process."""
        from gateway import tasks  # noqa: F401
