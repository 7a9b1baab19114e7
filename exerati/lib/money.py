"""Money is integers: nano-USD (1e-9 USD) everywhere; text and Decimal only at the edges."""

from decimal import Decimal, InvalidOperation

NANOUSD_PER_USD = 1_000_000_000
NANOUSD_PER_CENT = 10_000_000
MAX_NANOUSD = 2**63 - 1


def parse_usd(text: str) -> int:
    """Return nano-USD of an amount in USD such as `12.50`; raises ValueError when it is none, or finer than 1e-9."""
    try:
        nanousd = Decimal(text.strip().removeprefix("$")) * NANOUSD_PER_USD
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount in USD") from None
    if (
        not nanousd.is_finite()
        or nanousd != nanousd.to_integral_value()
        or abs(nanousd) > MAX_NANOUSD
    ):
        raise ValueError(f"{text!r} is not an amount in USD with at most 9 decimals")
    return int(nanousd)


def usd_text(nanousd: int) -> str:
    """Return the exact amount in USD without trailing zeros: 1_500_000 -> `0.0015`."""
    sign = "-" if nanousd < 0 else ""
    whole, rest = divmod(abs(nanousd), NANOUSD_PER_USD)
    decimals = f"{rest:09d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def display(nanousd: int) -> str:
    """Return the amount for people: two decimals for sums, up to six significant digits below one cent."""
    sign = "-" if nanousd < 0 else ""
    amount = abs(nanousd)
    if amount == 0 or amount >= NANOUSD_PER_CENT:
        cents = (amount + NANOUSD_PER_CENT // 2) // NANOUSD_PER_CENT
        return f"{sign}${cents // 100:,}.{cents % 100:02d}"
    return f"{sign}${usd_text(amount)[:11]}"


def div_half_even(numerator: int, denominator: int) -> int:
    """Return numerator / denominator rounded half to even; the denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return quotient + (twice > denominator or (twice == denominator and quotient % 2 == 1))
