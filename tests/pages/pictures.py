"""Pictures of pages and scenes: one file for each, by theme and width."""

import re
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page

from tests.pages.looking import FINISH_MOTION, THEMES, WIDTHS, Theme
from tests.pages.scenes import Scene
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


def take_scenes(
    site: Site, scenes: Sequence[Scene], *, folder: Path, widths: Sequence[int] | None = None
) -> int:
    """Write the pictures of scenes into a folder and return how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    forms = [(theme, width) for theme in THEMES for width in widths or WIDTHS]
    for scene in scenes:
        for theme, width in forms:
            with site.looker.look_as(scene.who, scene.address, theme=theme, width=width) as (
                page,
                _,
            ):
                scene.arrive(page)
                _photograph(page, folder / f"{scene.address.name}-{theme}-{width}.png")
    return len(scenes) * len(forms)


def _take(site: Site, address: Address, *, theme: Theme, width: int, folder: Path) -> int:
    with site.looker.look(address, theme=theme, width=width) as found:
        if found is None:
            return 0
        page, _ = found
        _photograph(page, folder / f"{_name(site, address)}-{theme}-{width}.png")
    return 1


def _photograph(page: Page, path: Path) -> None:
    """Take a picture of the whole page, as far as LONGEST_PX."""
    height = int(page.evaluate("document.documentElement.scrollHeight"))
    width = int(page.evaluate("innerWidth"))
    page.set_viewport_size({"width": width, "height": min(max(height, 800), LONGEST_PX)})
    page.evaluate(FINISH_MOTION)
    page.screenshot(path=path)


def _name(site: Site, address: Address) -> str:
    """Return a file name: that of the page, and its address where a page has several samples."""
    name = address.name.replace(":", "-")
    if sum(one.name == address.name for one in site.addresses) == 1:
        return name
    return f"{name}-{re.sub(r'[^a-z0-9]+', '-', address.path.strip('/').lower())[-40:]}"
