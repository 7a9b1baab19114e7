"""Failures on command: which operation, how often, and how it fails."""

import fnmatch
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["status", "cut_before", "cut_after", "slow"]


@dataclass
class Fault:
    """
    One failure: `status` answers with it (kept under the key if `stored`), `cut_before` closes the connection and
    does nothing, `cut_after` does the work and closes it, `slow` waits `seconds` first. `after` calls pass first.
    """

    operation: str  # "POST /v1/invoices*"
    kind: Kind
    status: int = 500
    code: str = ""
    seconds: float = 0.0
    times: int = 1
    after: int = 0
    stored: bool = False

    def matches(self, method: str, path: str) -> bool:
        """Return whether it is meant for this request."""
        return fnmatch.fnmatchcase(f"{method} {path}", self.operation)


@dataclass
class Faults:
    """The failures that are still to come."""

    waiting: list[Fault] = field(default_factory=list)

    def take(self, method: str, path: str) -> Fault | None:
        """Return the failure of this request, if there is one, and use it up."""
        for fault in self.waiting:
            if not fault.matches(method, path):
                continue
            if fault.after > 0:
                fault.after -= 1
                return None
            fault.times -= 1
            if fault.times <= 0:
                self.waiting.remove(fault)
            return fault
        return None
