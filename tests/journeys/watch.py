"""Samples the counters of an organization while calls run, to see that no cap is passed at any moment."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.journeys.books import Books

NO_LIMITS: dict[str, Any] = {
    "requests_per_minute": 10**6,
    "tokens_per_minute": 10**9,
    "concurrency": 10**4,
}


@dataclass
class Watch:
    """Samples posted + held of every capped counter from a thread of its own, as fast as the database answers."""

    database_url: str
    organization_id: int
    caps: dict[tuple[str, str], int]
    samples: int = 0
    highest: Counter[tuple[str, str]] = field(default_factory=Counter)
    most_open: int = 0

    def __enter__(self):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()

    def _run(self):
        with Books.open(self.database_url) as books:
            while not self._stop.is_set():
                for row in books.counters(self.organization_id):
                    scope = (row.scope, row.period)
                    self.highest[scope] = max(self.highest[scope], row.posted + row.held)
                self.most_open = max(self.most_open, books.open_calls(self.organization_id))
                self.samples += 1
                time.sleep(0.002)

    def check(self):
        assert self.samples > 5
        over = {scope: self.highest[scope] - cap for scope, cap in self.caps.items()}
        assert all(excess <= 0 for excess in over.values()), over
