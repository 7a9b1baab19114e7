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
# What was odd about the usage that the provider reported; the charge rests on what is left of it.
FLAG_WORDS: Final[Mapping[str, str]] = {
    "negative": "The provider reported a count below zero; it was taken as zero.",
    "inconsistent": "The provider reported parts that are more than their whole; they were cut to it.",
    "over_bound": "The provider reported more than the request may use; the count was cut to that.",
    "clamped": "The price was more than the amount reserved; no more than that is charged.",
}
