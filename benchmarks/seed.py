"""Fills an empty database for `benchmarks.gateway`: a key without tight limits, its money, the stand-in provider."""

import io
import json
import sys

import django


def main() -> None:
    """Print the key as the last word."""
    django.setup()
    from django.core.management import call_command

    from benchmarks.gateway import SHAPES

    call_command("migrate", verbosity=0)
    run = call_command
    run("org", "create", "Benchmark", "--owner", "bench@exerati.test", stdout=io.StringIO())
    run(
        "wallet",
        "grant",
        "--organization",
        "benchmark",
        "--amount",
        "1000000",
        "--reason",
        "bench",
        stdout=io.StringIO(),
    )
    models = [f"{name}={shape}" for name, shape in SHAPES.items()]
    run(
        "provider",
        "add",
        "bench",
        "--base-url",
        f"{sys.argv[1]}/v1",
        *(f"--model={model}" for model in models),
        "--context-tokens",
        "8192",
        "--max-output-tokens",
        "1024",
        "--input-price",
        "0.1",
        "--output-price",
        "0.4",
        stdout=io.StringIO(),
    )
    output = io.StringIO()
    run(
        "key",
        "create",
        "--organization",
        "benchmark",
        "--name",
        "bench",
        "--mode",
        "live",
        "--rpm",
        "100000000",
        "--tpm",
        "100000000000",
        "--concurrency",
        "100000",
        "--budget-month",
        "1000000",
        "--json",
        stdout=output,
    )
    print(json.loads(output.getvalue())["api_key"])


if __name__ == "__main__":
    main()
