"""App configuration of gateway."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"
