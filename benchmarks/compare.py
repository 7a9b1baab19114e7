"""
Measures what a call and a chunk cost in several revisions of this project and in the bare pass-through, side by side.

    .venv/bin/python -m benchmarks.compare HEAD~20            (the working tree against a revision)
    .venv/bin/python -m benchmarks.compare v1 v2 --rounds 20

Each revision is a gateway of its own from a checkout of its own, in this environment; rounds go through all of them in
an order drawn anew, so that what else the machine does meets all alike. CPU is what the server's process used by
/proc. Prints Markdown: medians, and the least, over the rounds.
"""

import argparse
import random
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.gateway import (
    CHUNKS,
    ROOT,
    Server,
    body,
    exerati,
    load,
    measured,
    passthrough,
    ready_port,
    started,
)


@dataclass
class Row:
    """The figures of one server, one of each round, in microseconds of CPU."""

    name: str
    server: Server
    call: list[float] = field(default_factory=list)
    chunk: list[float] = field(default_factory=list)


def main() -> None:
    """Compare the revisions that are named with the working tree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revisions", nargs="+", help="what git knows: a tag, a commit, HEAD~1")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.5, help="of load, each round and server")
    options = parser.parse_args()
    with ExitStack() as stack:
        upstream = stack.enter_context(
            started("upstream", ["-m", "benchmarks.upstream"], core="1", environment={})
        )
        url = f"http://127.0.0.1:{ready_port(upstream)}"
        rows = [
            Row(name, stack.enter_context(exerati(url, tree=stack.enter_context(checkout(name)))))
            for name in options.revisions
        ]
        rows.append(Row("working tree", stack.enter_context(exerati(url))))
        rows.append(Row("bare pass-through", stack.enter_context(passthrough(url))))
        for row in rows:
            load(chat_url(row.server), row.server.key, body("bench"), connections=8, seconds=2)
        for _ in range(options.rounds):
            for row in random.sample(rows, len(rows)):
                measure(row, seconds=options.seconds)
    report(rows)


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Check a revision out into a folder of its own, for as long as it is measured."""
    with TemporaryDirectory(prefix="exerati-compare-") as folder:
        tree = Path(folder) / "tree"
        git("worktree", "add", "--detach", str(tree), revision)
        try:
            yield tree
        finally:
            git("worktree", "remove", "--force", str(tree))


def git(*arguments: str) -> None:
    """Run git here; it says itself what is wrong."""
    subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def chat_url(server: Server) -> str:
    """Return where chats are asked for."""
    return f"{server.url}/v1/chat/completions"


def measure(row: Row, *, seconds: float) -> None:
    """Add a round to the row; raises SystemExit where a call failed."""
    url = chat_url(row.server)
    whole = measured(row.server, url, body("bench"), connections=64, seconds=seconds)
    stream = measured(row.server, url, body("bench", stream=True), connections=16, seconds=seconds)
    if whole["errors"] or stream["errors"]:
        raise SystemExit(f"{row.name}: {whole['first_error'] or stream['first_error']}")
    row.call.append(whole["cpu_us"])
    row.chunk.append((stream["cpu_us"] - whole["cpu_us"]) / CHUNKS)


def report(rows: list[Row]) -> None:
    """Print the table."""
    print("| tree | CPU µs a call (least) | CPU µs a chunk (least) | x bare |\n|---|---|---|---|")
    bare = statistics.median(rows[-1].call)
    for row in rows:
        call, chunk = statistics.median(row.call), statistics.median(row.chunk)
        print(
            f"| {row.name} | {call:,.0f} ({min(row.call):,.0f})"
            f" | {chunk:.1f} ({min(row.chunk):.1f}) | {call / bare:.1f} |"
        )


if __name__ == "__main__":
    main()
