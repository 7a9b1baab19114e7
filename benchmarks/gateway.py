"""
Measures the gateway with everything on (key, limits, reservation, settlement, ledger) against a bare pass-through of
the same server stack and, where it is installed, against LiteLLM's proxy, in one run.

    .venv/bin/python -m benchmarks.gateway
    .venv/bin/python -m benchmarks.gateway --litellm /path/to/venv     (pip install 'litellm[proxy]' there)

Each server is one process on core 0; load, upstream and databases share the other cores. CPU is what the server's
own process used by /proc, so it holds on a busy machine too; calls a second do not. Prints Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exerati.servers import throwaway

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
TICKS = os.sysconf("SC_CLK_TCK")
CHUNKS = 200
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "What is the capital of France, and how many people live there?"},
]


@dataclass(frozen=True)
class Server:
    """One server under test."""

    name: str
    url: str
    key: str
    process: "subprocess.Popen[bytes]"

    def cpu_seconds(self) -> float:
        """Return the processor time that the process and its children have used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(int(field) for field in fields[11:15]) / TICKS

    def memory_kib(self) -> int:
        """Return the resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--litellm", type=Path, help="a virtual environment with litellm[proxy]")
    options = parser.parse_args()
    with ExitStack() as stack:
        upstream = stack.enter_context(
            started("upstream", ["-m", "benchmarks.upstream"], core="1", environment={})
        )
        upstream_url = f"http://127.0.0.1:{ready_port(upstream)}"
        servers = [
            stack.enter_context(exerati(upstream_url)),
            stack.enter_context(passthrough(upstream_url)),
        ]
        if options.litellm:
            servers.append(stack.enter_context(litellm(options.litellm, upstream_url)))
        rows = [measure(server, options) for server in servers]
        direct = load(
            f"{upstream_url}/v1/chat/completions", "", body("bench"), connections=1, seconds=3
        )
    report(rows, direct)


def measure(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one server."""
    url = f"{server.url}/v1/chat/completions"
    rest = server.memory_kib()
    load(url, server.key, body("bench"), connections=8, seconds=2)
    whole = measured(
        server, url, body("bench"), connections=options.connections, seconds=options.seconds
    )
    stream = measured(
        server, url, body("bench", stream=True), connections=16, seconds=options.seconds
    )
    lone = load(url, server.key, body("bench"), connections=1, seconds=3)
    half = load(
        url,
        server.key,
        body("bench"),
        connections=4,
        seconds=4,
        pause=8 / max(1.0, whole["per_second"]),
    )
    return {
        "name": server.name,
        "per_second": whole["per_second"],
        "call_us": whole["cpu_us"],
        "chunk_us": (stream["cpu_us"] - whole["cpu_us"]) / CHUNKS,
        "lone_ms": lone["p50_ms"],
        "half_p50_ms": half["p50_ms"],
        "half_p99_ms": half["p99_ms"],
        "rest_mib": rest / 1024,
        "stream_kib": stream_memory(server, url),
        "errors": whole["errors"] + stream["errors"] + lone["errors"],
        "first_error": whole["first_error"] or stream["first_error"],
    }


def measured(
    server: Server, url: str, content: str, *, connections: int, seconds: float
) -> dict[str, Any]:
    """Put load on a server; return the load's figures and the server's CPU for each call."""
    before = server.cpu_seconds()
    figures = load(url, server.key, content, connections=connections, seconds=seconds)
    figures["cpu_us"] = (server.cpu_seconds() - before) / max(1, figures["requests"]) * 1e6
    return figures


def stream_memory(server: Server, url: str, streams: int = 300) -> float:
    """Return how much more resident memory each open, slow stream takes, in KiB."""
    before = server.memory_kib()
    command = load_command(
        url, server.key, body("slowbench", stream=True), connections=streams, seconds=0.1
    )
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    peak = before
    while running.poll() is None:
        peak = max(peak, server.memory_kib())
        time.sleep(0.1)
    return (peak - before) / streams


def load(
    url: str, key: str, content: str, *, connections: int, seconds: float, pause: float = 0
) -> dict[str, Any]:
    """Run the load program on the other core."""
    command = load_command(url, key, content, connections=connections, seconds=seconds)
    output = subprocess.run(
        [*command, "--pause", str(pause)], cwd=ROOT, check=True, capture_output=True
    ).stdout
    figures: dict[str, Any] = json.loads(output)
    return figures


def load_command(
    url: str, key: str, content: str, *, connections: int, seconds: float
) -> list[str]:
    """Return the command line of the load program."""
    options = [
        "--key",
        key,
        "--body",
        content,
        "--connections",
        str(connections),
        "--seconds",
        str(seconds),
    ]
    return ["taskset", "-c", "1", PYTHON, "-m", "benchmarks.load", url, *options]


def body(model: str, *, stream: bool = False) -> str:
    """Return a small chat request."""
    request = {"model": model, "messages": MESSAGES, "max_tokens": 256}
    return json.dumps(request | ({"stream": True} if stream else {}))


@contextmanager
def started(
    name: str,
    arguments: list[str],
    *,
    core: str,
    environment: dict[str, str],
    tree: Path = ROOT,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a Python program of a tree on one core; end it by its own pid."""
    process = subprocess.Popen(
        ["taskset", "-c", core, *arguments]
        if arguments[0].startswith("/")
        else ["taskset", "-c", core, PYTHON, *arguments],
        cwd=tree,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=(open(f"/tmp/benchmark-{name}.log", "wb")),  # noqa: S108  a log to look at when it fails
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def ready_port(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the line `ready PORT`."""
    assert process.stdout is not None
    return int(process.stdout.readline().split()[1])


def wait_for(url: str, seconds: float = 90) -> None:
    """Wait until something answers at a URL."""
    import urllib.error
    import urllib.request

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=1)  # noqa: S310  loopback
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit(f"{url} did not start within {seconds} s")


def free_port() -> int:
    """Return a free port of the loopback address."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def exerati(upstream_url: str, *, seed: Sequence[str] = (), tree: Path = ROOT) -> Iterator[Server]:
    """
    Run the gateway of a tree on durable throw-away databases; `seed` is a Python program that adds to what is sold.
    """
    from exerati.servers import embedded

    home = throwaway.make_home(throwaway.parent())
    try:
        database = embedded.start_postgres(home, durable=True)
        redis = embedded.start_valkey(home, durable=False)
        environment = {
            "DATABASE_URL": database.database_url,
            "REDIS_URL": redis.redis_url,
            "DJANGO_SETTINGS_MODULE": "exerati.settings.base",
            "EXERATI_ENV_FILES": "",
            "EXERATI_LOG_LEVEL": "WARNING",
        }
        made = subprocess.run(
            [PYTHON, "-W", "ignore", "-m", "benchmarks.seed", upstream_url],
            cwd=tree,
            env=os.environ | environment,
            check=True,
            capture_output=True,
        )
        key = made.stdout.decode().split()[-1]
        if seed:
            subprocess.run([PYTHON, *seed], cwd=tree, env=os.environ | environment, check=True)
        port = free_port()
        arguments = [
            "-W",
            "ignore",
            "-m",
            "uvicorn",
            "exerati.asgi:application",
            "--port",
            str(port),
            *UVICORN,
        ]
        with started("exerati", arguments, core="0", environment=environment, tree=tree) as process:
            wait_for(f"http://127.0.0.1:{port}/v1/models")
            yield Server("Exerati, everything on", f"http://127.0.0.1:{port}", key, process)
    finally:
        throwaway.remove_home(home)


UVICORN = [
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--no-access-log",
    "--no-proxy-headers",
    "--log-level",
    "warning",
]


@contextmanager
def passthrough(upstream_url: str) -> Iterator[Server]:
    """Run the bare stack."""
    port = free_port()
    arguments = [
        "-m",
        "uvicorn",
        "benchmarks.passthrough:application",
        "--port",
        str(port),
        "--lifespan",
        "off",
        *UVICORN,
    ]
    with started(
        "passthrough", arguments, core="0", environment={"UPSTREAM": upstream_url}
    ) as process:
        wait_for(f"http://127.0.0.1:{port}/")
        yield Server("bare pass-through", f"http://127.0.0.1:{port}", "-", process)


@contextmanager
def litellm(venv: Path, upstream_url: str) -> Iterator[Server]:
    """Run LiteLLM's proxy without database, budgets or logging: less work than it needs for what we do."""
    port = free_port()
    home = throwaway.make_home(throwaway.parent())
    models = {name: f"openai/{shape}" for name, shape in SHAPES.items()}
    config = {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": model,
                    "api_base": f"{upstream_url}/v1",
                    "api_key": "x",
                },
            }
            for name, model in models.items()
        ],
        "general_settings": {"master_key": "sk-bench"},
        "litellm_settings": {"drop_params": True, "telemetry": False},
    }
    path = home / "config.yaml"
    path.write_text(json.dumps(config))
    arguments = [
        str(venv / "bin" / "litellm"),
        "--config",
        str(path),
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]
    try:
        environment = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        with started("litellm", arguments, core="0", environment=environment) as process:
            wait_for(f"http://127.0.0.1:{port}/health/liveliness", 180)
            yield Server("LiteLLM proxy", f"http://127.0.0.1:{port}", "sk-bench", process)
    finally:
        throwaway.remove_home(home)


SHAPES = {"bench": f"m-{CHUNKS}-0", "slowbench": "m-60-100"}


def report(rows: list[dict[str, Any]], direct: dict[str, Any]) -> None:
    """Print one table."""
    ours = rows[0]
    print(
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, "
        f"upstream alone answers in {direct['p50_ms']:.2f} ms\n"
    )
    print(
        "| server | calls/s | CPU µs a call | x ours | CPU µs a chunk | x ours | lone call p50 ms "
        "| half load p50 / p99 ms "
        "| at rest MiB | KiB an open stream | errors |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['name']} | {row['per_second']:.0f} | {row['call_us']:.0f} "
            f"| {row['call_us'] / ours['call_us']:.2f} "
            f"| {row['chunk_us']:.1f} | {row['chunk_us'] / ours['chunk_us']:.2f} | {row['lone_ms']:.2f} "
            f"| {row['half_p50_ms']:.2f} / {row['half_p99_ms']:.2f} | {row['rest_mib']:.0f} | {row['stream_kib']:.0f} "
            f"| {row['errors']} |"
        )
        if row["first_error"]:
            print(f"\nfirst error of {row['name']}: {row['first_error'][:300]}\n")


if __name__ == "__main__":
    main()
