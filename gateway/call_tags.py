"""
The labels that a client gives a call, for its usage reports: the header `x-exerati-tags` or `metadata.tags`.

Labels only: nothing is charged, limited or routed by them, so one that cannot be kept is left out, not refused. Pure.
"""

import re
from typing import Final

HEADER: Final = b"x-exerati-tags"
MAX_TAGS: Final = 8
_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=@+-]{0,39}")


def read(header: str, metadata: str) -> tuple[str, ...]:
    """Return the tags of a call, from comma-separated texts: each once, eight at most."""
    if not header and not metadata:
        return ()
    found = (tag.strip() for tag in f"{header},{metadata}".split(",", 64)[:64])
    return tuple(dict.fromkeys(tag for tag in found if _TAG.fullmatch(tag)))[:MAX_TAGS]
