"""
The table of recorded cases: `.venv/bin/python -m tests.gateway.recorded_report [--write]`.

Plays every case of the collection and prints how many of each provider and API pass, and why the others are not played;
`--write` puts the table into docs/recorded.md. Ends with 1 if a case fails.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "recorded.md"
HEAD = """# Recorded traffic

Made by `.venv/bin/python -m tests.gateway.recorded_report --write` from the collection beside the repository
(`../shared/recorded`: {total} cases, most of them real exchanges); `python3 manage.py test` plays each one too
(`tests/gateway/test_recorded_cases.py`).

A case passes when each of its refusals is understood, each whole answer is valid for the official SDK's types, and each
stream is: the same chunks and the same usage one byte at a time with LF, CRLF and CR, cut in two at every byte (below
4 kB) or at random (above), and for Amazon's binary streams cut at every byte.

**{passed} of {played} cases played pass**; {broken} of these hold an answer that is broken, cut or refused in its
middle, for which a clear error is right. {unspoken} cases are of APIs that we do not speak to providers.
"""


def main(words: Iterable[str] | None = None) -> int:
    """Print the table; return 1 if a case failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="also write docs/recorded.md")
    options = parser.parse_args(None if words is None else list(words))
    text, failures = report()
    sys.stdout.write(text)
    for name, why in failures.items():
        sys.stderr.write(f"{name}: {why}\n")
    if options.write:
        DOCUMENT.write_text(text)
    return 1 if failures else 0


def report() -> tuple[str, dict[str, str]]:
    """Return the document, and the cases that failed with what they said."""
    from tests.gateway import recorded_cases

    played: Counter[tuple[str, str, str]] = Counter()
    passed: Counter[tuple[str, str, str]] = Counter()
    unspoken: Counter[tuple[str, str, str]] = Counter()
    failures: dict[str, str] = {}
    for case in recorded_cases.cases():
        if case.unspoken:
            unspoken[case.api, case.provider, case.unspoken] += 1
            continue
        row = (case.provider, case.api, "stream" if case.streamed else "whole")
        played[row] += 1
        try:
            recorded_cases.run(case)
        except Exception as error:  # a report names every failure
            failures[f"{case.provider}/{case.name}"] = f"{type(error).__name__}: {error}"
        else:
            passed[row] += 1
    head = HEAD.format(
        total=played.total() + unspoken.total(),
        passed=passed.total(),
        played=played.total(),
        broken=len(recorded_cases.BROKEN),
        unspoken=unspoken.total(),
    )
    return head + _played(played, passed) + _unspoken(unspoken), failures


def _played(played: Counter[tuple[str, str, str]], passed: Counter[tuple[str, str, str]]) -> str:
    rows = sorted({(provider, api) for provider, api, _ in played})
    lines = ["", "| provider | API | whole | stream |", "| --- | --- | --- | --- |"]
    for provider, api in rows:
        cells = [
            f"{passed[provider, api, form]} of {count}"
            if (count := played[provider, api, form])
            else ""
            for form in ("whole", "stream")
        ]
        lines.append(f"| {provider} | {api} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def _unspoken(unspoken: Counter[tuple[str, str, str]]) -> str:
    lines = [
        "",
        "## Not played",
        "",
        "| API | provider | cases | why |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {api} | {provider} | {count} | {why} |"
        for (api, provider, why), count in sorted(unspoken.items())
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exerati.settings.test")
    sys.exit(main())
