"""A site with a PostgreSQL and a Valkey of its own, for tests that take them away while it works."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from exerati.servers import embedded, throwaway
from tests import gateway_server
from tests.gateway_server import ROOT, Gateway
from tests.journeys.books import Books


class PrivateSite:
    """Servers in a home of their own; commands and processes that use them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.start_postgres()
        self.start_valkey()

    def start_postgres(self) -> None:
        """Start PostgreSQL, as it was before if it has run; as safe against crashes as in production."""
        self.database_url = embedded.start_postgres(self.home, durable=True).database_url

    def start_valkey(self) -> None:
        """Start an empty Valkey."""
        self.redis_url = embedded.start_valkey(self.home, durable=False).redis_url

    def stop(self, name: str) -> None:
        """Stop `postgres` or `valkey`, as an operator would."""
        embedded.stop_server(self.home, name=name)

    @property
    def addresses(self) -> dict[str, str]:
        """Where the servers are."""
        return {"database_url": self.database_url, "redis_url": self.redis_url}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command that is to work here."""
        return {**os.environ, "DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}

    def manage(self, *arguments: str) -> dict[str, str]:
        """Run an operator command with `--json` and return its answer."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments, "--json"],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        answer: dict[str, str] = json.loads(done.stdout)
        return answer

    @contextmanager
    def servers(self, count: int) -> Iterator[list[Gateway]]:
        """Yield so many processes, ended afterwards."""
        with ExitStack() as running:
            yield [
                running.enter_context(gateway_server.running(**self.addresses))
                for _ in range(count)
            ]

    @contextmanager
    def books(self) -> Iterator[Books]:
        """Yield the books of this database."""
        with Books.open(self.database_url) as books:
            yield books


@contextmanager
def private_site() -> Iterator[PrivateSite]:
    """Yield a site with an empty, migrated database and the catalog; all of it is gone afterwards."""
    home = throwaway.make_home(throwaway.parent())
    try:
        site = PrivateSite(home)
        for command in (["migrate", "--verbosity", "0"], ["catalog", "load"]):
            subprocess.run(
                [sys.executable, "manage.py", *command],
                cwd=ROOT,
                env=site.environment,
                stdout=subprocess.DEVNULL,
                check=True,
            )
        yield site
    finally:
        throwaway.remove_home(home)
