"""
Which test proves what is answered to each attack of the list kept beside the repository (../shared/reliability.md,
sections 2a to 2f), as docs/attacks.md tells it.

`.venv/bin/python -m tests.attacks --write` writes the page; `tests/test_attacks.py` holds that each id has its tests,
that they exist, and that the page is up to date. An id without a test has a reason.
"""

import re
import sys
from pathlib import Path

from tests.attack_list import PROOFS, Proof

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "attacks.md"


def missing(proof: Proof) -> list[str]:
    """Return the tests of a proof that do not exist."""
    found = []
    for test in proof.tests:
        name, _, function = test.partition("::")
        file = ROOT / "tests" / name
        text = file.read_text() if file.exists() else ""
        if not re.search(rf"^(async )?def {function}\(", text, re.MULTILINE):
            found.append(test)
    return found


def page() -> str:
    """Return docs/attacks.md."""
    tested = sum(bool(proof.tests) for proof in PROOFS.values())
    lines = [
        "# Attacks and their tests",
        "",
        "Made by `.venv/bin/python -m tests.attacks --write`; `tests/test_attacks.py` holds that each test exists.",
        "",
        f"**{tested} of {len(PROOFS)}** attacks on keys, tenants, money, cost, egress and the protocol have tests of",
        "their own; the others say why not.",
        "",
        "| id | attack | tests, below `tests/` |",
        "| --- | --- | --- |",
    ]
    for name, proof in PROOFS.items():
        tests = "<br>".join(f"`{test}`" for test in proof.tests) or f"none: {proof.reason}"
        lines.append(f"| {name} | {proof.attack} | {tests} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page())
    else:
        sys.stdout.write(page())
