"""App configuration of the wiring package: commands, checks, template tags."""

from django.apps import AppConfig


class ExeratiConfig(AppConfig):
    name = "exerati"

    def ready(self) -> None:
        from exerati import checks  # noqa: F401  registers the system checks
