"""
Knows a process again after a restart: by its id and its start time together, never by name.

Standard library only. The system gives an id to a new process sooner or later; id and start time
together stay true, so that a record left by a killed run never makes us stop a stranger's process.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Process:
    """A process of ours, possibly started by an earlier run."""

    pid: int
    started: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return start_time(self.pid) == self.started


def identify(pid: int) -> Process:
    """Return the process that has `pid` now; one that is gone already is never alive."""
    return Process(pid=pid, started=start_time(pid) or "gone")


def start_time(pid: int) -> str | None:
    """Return when `pid` started, in the system's own spelling, or None if it does not run."""
    if Path("/proc/self/stat").exists():
        return _start_time_from_proc(pid)
    ps = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = ps.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


def _start_time_from_proc(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold spaces and parentheses itself: count from the last one.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def arguments(pid: int) -> str:
    """Return the command line of `pid`, its parts parted by blanks; empty if it does not run."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    ps = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout


def stop(process: Process, *, signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn, waiting the seconds beside it, until the process is gone; SIGKILL comes last."""
    for number, seconds in (*signals, (signal.SIGKILL, 5.0)):
        if not process.alive:
            return
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return
        wait_until_gone(process, seconds=seconds)


def wait_until_gone(process: Process, *, seconds: float) -> bool:
    """Wait at most `seconds` for the process to end and return whether it has."""
    deadline = time.monotonic() + seconds
    while process.alive:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
