"""Numbers and times as people read them; pure, so that charts and template tags say the same."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from exerati.lib import money

COST_DIGITS = 6  # significant digits of what one request cost
_COMPACT = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k"))


def sum_text(nanousd: int) -> str:
    """Return a sum of money: two decimals, below one cent the two digits that count."""
    if abs(nanousd) < money.NANOUSD_PER_CENT and nanousd:
        exact = Decimal(nanousd).scaleb(-9)
        return _dollars(exact.quantize(Decimal(1).scaleb(max(exact.adjusted() - 1, -9))))
    return money.display(nanousd)


def cost_text(nanousd: int) -> str:
    """Return what one request cost: at least two decimals, at most six significant digits."""
    exact = Decimal(nanousd).scaleb(-9)
    if exact == 0:
        return "$0.00"
    places = max(2, COST_DIGITS - 1 - exact.adjusted())
    rounded = exact.quantize(Decimal(1).scaleb(-min(places, 9)), rounding=ROUND_HALF_EVEN)
    return _dollars(rounded)


def about_text(nanousd: int) -> str:
    """Return a mean or a guess with as many digits as it deserves: three that count, two decimals at least."""
    size: int = 10 ** max(len(str(abs(nanousd))) - 3, 0)
    return cost_text(round(nanousd / size) * size if size < 10_000_000 else round(nanousd, -7))


def exact_text(nanousd: int) -> str:
    """Return the whole amount, to the nano-dollar."""
    return _dollars(Decimal(nanousd).scaleb(-9))


def price_text(microusd_per_mtok: int) -> str:
    """Return a price per million tokens."""
    return _dollars(Decimal(microusd_per_mtok).scaleb(-6))


def _dollars(amount: Decimal) -> str:
    """Return the amount with its zeros trimmed, but never below two decimals."""
    sign = "-" if amount < 0 else ""
    whole, _, decimals = f"{abs(amount):,f}".partition(".")
    return f"{sign}${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def count_text(number: int, unit: str = "") -> str:
    """Return `1,204 tokens`; the unit is given in the plural and loses its s for one."""
    if not unit:
        return f"{number:,}"
    return f"{number:,} {unit.removesuffix('s') if number == 1 else unit}"


def compact_text(number: int) -> str:
    """Return `950`, `1.2k`, `48M`: for axes, where the exact number stands in the table."""
    for size, letter in _COMPACT:
        if abs(number) >= size:
            tenths = number * 10 // size
            return (
                f"{tenths // 10}{letter}"
                if tenths % 10 == 0 or tenths >= 1000
                else f"{tenths / 10:.1f}{letter}"
            )
    return str(number)


def milliseconds_text(milliseconds: int) -> str:
    """Return `412 ms`, `1.24 s`, `2 min 5 s`."""
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.2f} s"
    minutes, seconds = divmod(milliseconds // 1000, 60)
    return f"{minutes} min {seconds} s"


def moment_text(at: datetime) -> str:
    """Return date and time with the zone named."""
    return f"{at:%d %b %Y, %H:%M:%S} {at.tzname() or 'UTC'}".lstrip("0")


UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def ago_text(at: datetime, *, now: datetime) -> str:
    """
    Return how long ago (or how far ahead) a moment is; beyond 30 days its date.

    What is past is counted in whole units, what is ahead to the nearest: a week that has just begun ends in 7 d.
    """
    distance = now - at
    if abs(distance) > timedelta(days=30):
        return f"{at:%d %b %Y}".lstrip("0")
    seconds = int(abs(distance).total_seconds())
    if seconds < 10:
        return "just now"
    if distance > timedelta(0):
        return f"{_distance_words(seconds)} ago"
    # Half a unit more than it is, so that the whole ones of it are the nearest ones.
    unit = next(size for size, _ in UNITS if seconds >= size)
    return f"in {_distance_words(seconds + unit // 2)}"


def _distance_words(seconds: int) -> str:
    """Return a distance of at least a second in the largest unit that fits, whole ones of it."""
    size, unit = next((size, unit) for size, unit in UNITS if seconds >= size)
    return f"{seconds // size} {unit}"


def machine_text(at: datetime) -> str:
    """Return the moment for a `datetime` attribute: ISO 8601 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
