"""Answers HTTP, the site and `/v1` alike, in one process; more processes make more of it."""

import socket
import sys
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from exerati.http_protocol import DeadlineProtocol

# Longer than load balancers keep idle connections (60 s as a rule), so that they close first, not we.
KEEP_ALIVE_SECONDS = 75


class Command(BaseCommand):
    """`manage.py serve`: what a deployment runs behind its load balancer."""

    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take an address, or a listening socket from the parent process."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--fd", type=int, help="listen on this inherited socket instead")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until SIGTERM or Ctrl-C, then give open answers the configured time to finish."""
        server = uvicorn.Server(config(host=options["host"], port=options["port"]))
        server.run(sockets=None if options["fd"] is None else [socket.socket(fileno=options["fd"])])
        if not server.started:
            sys.exit(3)


def config(*, host: str, port: int) -> uvicorn.Config:
    """Return the server's configuration."""
    return uvicorn.Config(
        "exerati.asgi:application",
        host=host,
        port=port,
        loop="uvloop",
        http=DeadlineProtocol,
        ws="none",
        interface="asgi3",
        log_config=None,  # Django's LOGGING holds for all
        access_log=False,
        server_header=False,
        proxy_headers=False,  # EXERATI_TRUSTED_PROXIES decides whom to believe, in one place
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.DRAIN_SECONDS,
        backlog=2048,
    )
