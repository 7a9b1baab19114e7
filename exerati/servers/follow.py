"""Reads what is added to log files, as `tail -f` does, and says which file each line is from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Follower:
    """The lines added to `paths`; a file that shrank or was replaced is read from its beginning."""

    paths: Sequence[Path]
    _positions: dict[Path, int] = field(default_factory=dict)

    def skip(self) -> None:
        """Pass over what the files hold now."""
        self._positions = {path: path.stat().st_size for path in self.paths if path.exists()}

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield (name of the log, line) for each whole line added since the last call."""
        for path in self.paths:
            if path.exists():
                yield from ((path.stem, line) for line in self._added(path))

    def _added(self, path: Path) -> list[str]:
        position = self._positions.get(path, 0)
        with path.open("rb") as log:
            if position > path.stat().st_size:
                position = 0
            log.seek(position)
            added = log.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._positions[path] = position + len(whole)
        return whole.decode(errors="replace").splitlines()
