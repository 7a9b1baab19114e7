"""
`python -m tests.screenshots`: every page of the site, and what steps on pages lead to (tests/pages/scenes.py), in
both themes and at two widths, from sample organizations.

With `--audit` it looks at the same pages instead: axe-core in both themes, breaches of the security policy, bytes over
the wire, the time until the largest part stands, and database queries. The pages come from the URL table; what must be
said of a new one stands in tests/pages/world.py. Brings its own servers, and a chromium must be there.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.core.management import call_command

from exerati.management.commands.test import environment
from exerati.servers import throwaway

if TYPE_CHECKING:
    from tests.pages.audit import Finding


def main() -> int:
    """Run as told; with `--audit`, return 1 if a page breaks a rule."""
    options = _parser().parse_args()
    # Ends as by Ctrl-C, so that nothing is left running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _servers():
        from tests.pages import audit, pictures, scenes, site

        with site.opened(os.environ["DATABASE_URL"], os.environ["REDIS_URL"]) as opened:
            wanted = [one for one in opened.addresses if _is_wanted(one.name, options.only)]
            staged = [
                one for one in scenes.all_scenes() if _is_wanted(one.address.name, options.only)
            ]
            if options.audit:
                found = (
                    audit.run(opened, wanted, most_lcp_ms=audit.MOST_LCP_MS),
                    audit.run_scenes(opened, staged),
                )
                return _tell(chain(*found))
            folder = options.out or Path(tempfile.mkdtemp(prefix="exerati-pages-"))
            count = pictures.take(opened, wanted, folder=folder, widths=options.width)
            count += pictures.take_scenes(opened, staged, folder=folder, widths=options.width)
            print(f"{count} pictures in {folder}")
            return 0


@contextmanager
def _servers() -> Iterator[None]:
    """Bring servers with an empty, migrated database, and set Django up on them."""
    with throwaway.servers(database_url="", redis_url="", engines=None) as addresses:
        os.environ.clear()
        os.environ.update(environment(addresses))
        django.setup()
        call_command("migrate", verbosity=0)
        yield


def _is_wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(word in name for word in only)


def _tell(findings: "Iterable[Finding]") -> int:
    print(f"{'page':<44}{'KB':>6}{'LCP ms':>8}{'queries':>9}")
    pages, problems = 0, 0
    for one in findings:
        print(f"{one.path:<44}{one.kilobytes:>6}{one.lcp_ms:>8}{one.queries:>9}", flush=True)
        for problem in one.problems:
            print(f"  WRONG {problem}", flush=True)
        pages += 1
        problems += len(one.problems)
    print(f"{pages} pages, {problems} problems")
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], help="part of a page's URL name, or scene-NAME"
    )
    parser.add_argument("--out", type=Path, help="folder for the pictures; a new one if not given")
    parser.add_argument("--width", type=int, action="append", help="1280 and 390 if not given")
    parser.add_argument("--audit", action="store_true", help="measure and check, no pictures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
