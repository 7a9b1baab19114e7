"""
All cells of the matrix, and docs/upstream-faults.md, which tells of them.

`.venv/bin/python -m tests.gateway.upstream_faults.table --write` writes it; the suite holds it against the cells, and
runs every one of them.
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests.gateway.upstream_faults import bodies, heads, moments
from tests.gateway.upstream_faults.cells import MOMENTS, Cell
from tests.gateway.upstream_faults.dialects import DIALECTS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "upstream-faults.md"
TITLES = {
    "openai": "OpenAI and all that speak its API",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "bedrock": "Bedrock",
}
HEAD = """# When a provider breaks

Made by `.venv/bin/python -m tests.gateway.upstream_faults.table --write` from the cells that
`python3 manage.py test tests/gateway/upstream_faults` runs, each over real sockets against a running gateway, with a
provider on bare sockets that can break any rule at any byte (`tests/gateway/upstream_faults/stand_in.py`).

**{cells} of {cells} cells** ({faults} faults; stream and whole; before headers, before output, in the middle, before
usage, after usage; {apis} APIs) must hold for the suite to pass. In each: the status and the code in OpenAI's envelope,
the bill by the published policy, one attempt on record for each request that the provider got and never more than three
(none after output), nothing of our account, its keys or addresses in what the customer sees, no connection used
again after a broken answer, and a second call that finds the provider's only place, the key's only place and a
connection free, nothing held. For APIs other than OpenAI's only the cells are run in which the translator has a part.

"Charged" is by the provider's usage, "charged by count" by what was delivered. A stream whose provider has said why the
answer ends is complete, whatever becomes of the connection then.
"""


def cells(api: str) -> list[Cell]:
    """Return the cells of one API: of OpenAI's all, of the others those in which the translator has a part."""
    dialect, everything = DIALECTS[api], api == "openai"
    parts = (heads.cells, moments.cells, bodies.cells)
    return [cell for part in parts for cell in part(dialect, everything=everything)]


def page() -> str:
    """Return the whole page."""
    found = {api: cells(api) for api in DIALECTS}
    everything = [cell for some in found.values() for cell in some]
    head = HEAD.format(
        cells=len(everything), faults=len({cell.fault for cell in everything}), apis=len(found)
    )
    return "\n".join([head, *(line for api in found for line in _section(api, found[api]))]) + "\n"


def _section(api: str, found: Sequence[Cell]) -> Iterator[str]:
    yield f"## {TITLES[api]}: {len(found)} cells"
    yield ""
    yield "| fault | when | stream | whole |"
    yield "| --- | --- | --- | --- |"
    order = list(MOMENTS)
    by_row = sorted(found, key=lambda cell: (cell.fault, order.index(cell.moment)))
    for (fault, moment), row in groupby(by_row, key=lambda cell: (cell.fault, cell.moment)):
        told = {cell.stream: str(cell.expected) for cell in row}
        yield f"| {fault} | {MOMENTS[moment]} | {told.get(True, '')} | {told.get(False, '')} |"
    yield ""


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page())
    else:
        sys.stdout.write(page())
