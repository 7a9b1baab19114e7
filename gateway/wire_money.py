"""Money on the wire: a JSON number in USD, exact. Pure."""

import msgspec

from exerati.lib.money import usd_text


def usd_number(nanousd: int) -> msgspec.Raw:
    """Return an amount as a JSON number in USD with at most 9 decimals."""
    return msgspec.Raw(usd_text(nanousd).encode())
