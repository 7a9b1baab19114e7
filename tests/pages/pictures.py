"""Pictures of pages: one file for each page, theme and width."""

import re
from collections.abc import Sequence
from pathlib import Path

from tests.pages.looking import FINISH_MOTION, THEMES, WIDTHS, Theme
from tests.pages.site import Site
from tests.pages.url_table import Address

LONGEST_PX = 4_000  # a page that is longer is cut: its head says how it looks


def take(
    site: Site, addresses: Sequence[Address], *, folder: Path, widths: Sequence[int] | None = None
) -> int:
    """Write the pictures into a folder and return how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for address in addresses:
        for theme in THEMES:
            for width in widths or WIDTHS:
                count += _take(site, address, theme=theme, width=width, folder=folder)
    return count


def _take(site: Site, address: Address, *, theme: Theme, width: int, folder: Path) -> int:
    with site.looker.look(address, theme=theme, width=width) as found:
        if found is None:
            return 0
        page, _ = found
        height = int(page.evaluate("document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": width, "height": min(max(height, 800), LONGEST_PX)})
        page.evaluate(FINISH_MOTION)
        page.screenshot(path=folder / f"{_name(site, address)}-{theme}-{width}.png")
    return 1


def _name(site: Site, address: Address) -> str:
    """Return a file name: that of the page, and its address where a page has several samples."""
    name = address.name.replace(":", "-")
    if sum(one.name == address.name for one in site.addresses) == 1:
        return name
    return f"{name}-{re.sub(r'[^a-z0-9]+', '-', address.path.strip('/').lower())[-40:]}"
