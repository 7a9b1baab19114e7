"""On what the charge of a call rests, and why it does: words for the log, the request page and `/v1/generation`."""

from collections.abc import Mapping
from typing import Final

BASIS_WORDS: Final[Mapping[str, str]] = {
    "reported": "The token counts are the provider's own.",
    "counted": "The provider reported no usage, so Exerati counted the tokens that were delivered.",
    "estimated": "The exact usage was lost in a fault; this is the last progress known, never more than the amount "
    "reserved.",
    "waived": "Nothing is charged: the call ended in an error, was empty, or was never sent.",
}
