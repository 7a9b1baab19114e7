"""
Keeps a gateway under streams for minutes and looks whether anything grows: memory, file descriptors, threads.

    nice -n 15 .venv/bin/python -m benchmarks.soak --minutes 10 --streams 200

One process on core 0, its streams one after the other on as many connections. A sample each five seconds; the slope is
that of a line through the samples after the warm-up (least squares). In the end everybody leaves, and what is still
open is compared with what was open before. Prints one row of Markdown. Full form: `--minutes 60`.
"""

import argparse
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway import (
    ROOT,
    Server,
    body,
    exerati,
    load,
    load_command,
    ready_port,
    started,
)

SAMPLE_SECONDS = 5
QUIET_SECONDS = 90  # longer than connections to providers and clients are kept
MOST_GROWTH_KIB = 1024  # in ten minutes


@dataclass(frozen=True)
class Sample:
    """What a process holds at a moment."""

    seconds: float
    memory_kib: int
    descriptors: int
    sockets: int
    threads: int


def sample(server: Server, began: float) -> Sample:
    """Return what the process holds now."""
    home = Path(f"/proc/{server.process.pid}")
    links = []
    for entry in (home / "fd").iterdir():
        try:
            links.append(os.readlink(entry))
        except FileNotFoundError:
            continue  # closed since it was listed
    return Sample(
        time.monotonic() - began,
        server.memory_kib(),
        len(links),
        sum(link.startswith("socket:") for link in links),
        len(list((home / "task").iterdir())),
    )


def slope_kib(samples: list[Sample]) -> float:
    """Return by how many KiB in ten minutes the memory grows, by least squares."""
    mean_x = sum(one.seconds for one in samples) / len(samples)
    mean_y = sum(one.memory_kib for one in samples) / len(samples)
    above = sum((one.seconds - mean_x) * (one.memory_kib - mean_y) for one in samples)
    below = sum((one.seconds - mean_x) ** 2 for one in samples)
    return above / below * 600


def soak(server: Server, *, minutes: float, warm_minutes: float, streams: int) -> bool:
    """Run, print the row, and return whether nothing grew."""
    url = f"{server.url}/v1/chat/completions"
    content = body("slowbench", stream=True)
    load(url, server.key, content, connections=1, seconds=1)
    began = time.monotonic()
    before = sample(server, began)
    command = load_command(
        url, server.key, content, connections=streams, seconds=60 * (minutes + warm_minutes)
    )
    samples = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as running:
        while running.poll() is None:
            time.sleep(SAMPLE_SECONDS)
            samples.append(sample(server, began))
        assert running.stdout is not None
        figures = running.stdout.read().decode()
    time.sleep(QUIET_SECONDS)
    after = sample(server, began)
    steady = [
        one for one in samples if 60 * warm_minutes < one.seconds < 60 * (minutes + warm_minutes)
    ]
    growth = slope_kib(steady)
    sys.stderr.write(figures + "\n")
    print(
        f"| {streams} streams for {minutes:g} min after {warm_minutes:g} of warm-up "
        f"| {growth:+.0f} KiB in 10 min, {steady[0].memory_kib / 1024:.1f} to {steady[-1].memory_kib / 1024:.1f} MiB "
        f"| descriptors {before.descriptors}, {max(one.descriptors for one in steady)}, {after.descriptors} "
        f"| sockets {before.sockets}, {max(one.sockets for one in steady)}, {after.sockets} "
        f"| threads {before.threads}, {after.threads} |"
    )
    return growth < MOST_GROWTH_KIB and after.sockets <= before.sockets + 1


def main() -> int:
    """Run everything; return 1 if something grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--warm-minutes", type=float, default=2)
    parser.add_argument("--streams", type=int, default=200)
    options = parser.parse_args()
    with ExitStack() as stack:
        upstream = stack.enter_context(
            started("upstream", ["-m", "benchmarks.upstream"], core="1", environment={})
        )
        server = stack.enter_context(exerati(f"http://127.0.0.1:{ready_port(upstream)}"))
        good = soak(
            server,
            minutes=options.minutes,
            warm_minutes=options.warm_minutes,
            streams=options.streams,
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
