"""Why spending changed: the groups that moved it most, each told apart into more calls and dearer calls; pure."""

from dataclasses import dataclass

from billing.read_models.reports import Sums, Usage, UsageRow
from exerati.drawing import formats

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Mover:
    """
    One group and the change of its spending, exactly split in two: by the number of calls, at what one cost before,
    and by what one costs now.
    """

    id: str
    name: str
    before: Sums
    now: Sums

    @property
    def change_nanousd(self) -> int:
        """Return by how much the group spends more (less, if negative)."""
        return self.now.spend - self.before.spend

    @property
    def by_requests_nanousd(self) -> int:
        """Return the part of the change that the number of calls made."""
        if not self.before.requests:
            return self.change_nanousd
        more = self.now.requests - self.before.requests
        return more * self.before.spend // self.before.requests

    @property
    def by_cost_nanousd(self) -> int:
        """Return the part of the change that the cost of one call made."""
        return self.change_nanousd - self.by_requests_nanousd

    @property
    def change_text(self) -> str:
        """Return the change with its sign."""
        return signed(self.change_nanousd)

    @property
    def words(self) -> str:
        """Return the reasons, the larger first."""
        if not self.before.requests:
            return f"new: {formats.count_text(self.now.requests, 'requests')}"
        if not self.now.requests:
            return f"no requests any more, {formats.count_text(self.before.requests)} before"
        parts = [
            (self.by_requests_nanousd, self._requests_words()),
            (self.by_cost_nanousd, self._cost_words()),
        ]
        parts.sort(key=lambda part: -abs(part[0]))
        return "; ".join(f"{words} ({signed(amount)})" for amount, words in parts if amount)

    def _requests_words(self) -> str:
        before, now = self.before.requests, self.now.requests
        return f"{change_text(now, before)} requests ({before:,} to {now:,})"

    def _cost_words(self) -> str:
        before, now = (_each(sums) for sums in (self.before, self.now))
        tokens = [sums.tokens // sums.requests for sums in (self.before, self.now)]
        longer = "" if tokens[0] == tokens[1] else f", {tokens[0]:,} to {tokens[1]:,} tokens"
        costs = f"{formats.about_text(before)} to {formats.about_text(now)} each"
        return f"{'dearer' if now > before else 'cheaper'} requests ({costs}{longer})"


def _each(sums: Sums) -> int:
    return sums.spend // sums.requests


def signed(nanousd: int) -> str:
    """Return an amount with its sign, after which no line ends."""
    sign = "+" if nanousd > 0 else "\N{MINUS SIGN}\N{WORD JOINER}"
    return f"{sign}{formats.sum_text(abs(nanousd))}"


def change_text(now: int, before: int) -> str:
    """Return `40 % more` or `3 % fewer`, and `3 times as many` where percents say little."""
    if now >= 3 * before:
        return f"{now / before:.0f} times as many"
    return f"{abs(round(100 * (now - before) / before))}\N{NO-BREAK SPACE}% {'more' if now > before else 'fewer'}"


def top(found: Usage, *, at_most: int = SHOWN) -> list[Mover]:
    """Return the groups that moved the spending most; none without a time before to compare with."""
    if not found.previous.requests:
        return []
    movers = [_mover(row) for row in (*found.rows, *found.gone)]
    movers = [mover for mover in movers if mover.change_nanousd]
    movers.sort(key=lambda mover: (-abs(mover.change_nanousd), mover.name))
    return movers[:at_most]


def _mover(row: UsageRow) -> Mover:
    return Mover(row.id, row.name, before=row.previous, now=row.total)


def heading(found: Usage) -> str:
    """Return the question that the movers answer."""
    change = found.total.spend - found.previous.spend
    if change == 0:
        return "What moved?"
    return "Why did it rise?" if change > 0 else "Why did it fall?"
