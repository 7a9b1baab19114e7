"""
Which test proves what happens in each failure case of billing, and who checks each of its invariants, as
docs/billing-proofs.md tells it.

`.venv/bin/python -m tests.billing.proofs --write` writes the page; `test_proofs.py` holds it to the tests.
"""

import sys
from collections.abc import Sequence

from tests.attacks import ROOT, missing
from tests.billing.proof_list import CASES, INVARIANTS

PAGE = ROOT / "docs" / "billing-proofs.md"

__all__ = ["PAGE", "missing", "page"]


def page() -> str:
    """Return docs/billing-proofs.md."""
    lines = [
        "# Billing: failure cases and invariants",
        "",
        "Made by `.venv/bin/python -m tests.billing.proofs --write`; `tests/billing/test_proofs.py` holds that each",
        "test exists and that the first of a case is named after it.",
        "",
        f"## {len(CASES)} failure cases",
        "",
        "| case | what happens | what then holds | tests, below `tests/` |",
        "| --- | --- | --- | --- |",
    ]
    for name, case in CASES.items():
        lines.append(f"| `{name}` | {case.case} | {case.behaviour} | {_listed(case.tests)} |")
    lines += [
        "",
        f"## {len(INVARIANTS)} invariants",
        "",
        "| no. | what always holds | tests, below `tests/` | checked by `manage.py ledger verify` as |",
        "| --- | --- | --- | --- |",
    ]
    for number, held in INVARIANTS.items():
        said = "; ".join(filter(None, (", ".join(held.verify), held.instead)))
        lines.append(f"| {number} | {held.rule} | {_listed(held.tests)} | {said} |")
    return "\n".join(lines) + "\n"


def _listed(tests: Sequence[str]) -> str:
    return "<br>".join(f"`{test}`" for test in tests)


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page())
    else:
        sys.stdout.write(page())
