"""`python -m tests.clients install [--quick | name ...]`: the environments of real clients, see docs/clients.md."""

import argparse
import sys
import time

from exerati.bootstrap import SetupError
from tests.clients import environments


def main() -> int:
    """Install what is named; return how many environments could not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("action", choices=["install"])
    parser.add_argument(
        "names", nargs="*", metavar="name", help=", ".join(environments.ENVIRONMENTS)
    )
    parser.add_argument("--quick", action="store_true", help="those that are installed quickly")
    options = parser.parse_args()
    standard = environments.QUICK if options.quick else environments.ENVIRONMENTS
    return sum(not _installed(name) for name in options.names or standard)


def _installed(name: str) -> bool:
    started = time.monotonic()
    try:
        environments.install(name)
    except SetupError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return False
    sys.stdout.write(f"{name} is installed ({time.monotonic() - started:.0f} s)\n")
    return True


if __name__ == "__main__":
    sys.exit(main())
