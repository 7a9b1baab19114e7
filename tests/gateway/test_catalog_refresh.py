"""A process that reads the catalog twice at once keeps the newer one."""

import asyncio
import threading
import time
from typing import Any

import pytest

from gateway import engine as engine_module
from gateway.engine import Engine

pytestmark = pytest.mark.anyio


async def test_older_catalog_never_takes_the_place_of_a_newer_one(monkeypatch):
    signatures = iter(["old", "new"])
    catalogs = iter(["old", "new"])
    newer_is_read = threading.Event()

    async def signature(_statement):
        return next(signatures)

    def load():
        catalog = next(catalogs)
        if catalog == "new":
            newer_is_read.set()
        else:
            newer_is_read.wait(0.5)  # as long as the newer one may take to overtake it
            time.sleep(0.2)
        return catalog

    engine: Any = Engine()
    monkeypatch.setattr(engine._catalog_connection, "fetch_value", signature)
    monkeypatch.setattr(engine_module, "_load_catalog", load)

    await asyncio.gather(engine.refresh_catalog(), engine.refresh_catalog())

    assert engine.catalog == "new"
    await engine.client.close()
