"""
What a stream shows of the prompts that Anthropic's model read, before its end tells. Pure.

`message_start` tells the first one. Where Anthropic runs tools, the prompt is read again after each result, with what
was said and found so far; only the end tells those. If it never comes, this is the best that is known.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.providers import wire_json

# Found pages are encrypted: 47,824 characters of two searches were 16,193 tokens of prompts in recorded traffic.
# Fetched ones are plain, four characters a token (https://platform.claude.com/docs/en/about-claude/pricing: "100 kB:
# ~25,000 tokens").
_ENCRYPTED_CHARACTERS: Final = 3
_PLAIN_CHARACTERS: Final = 4


class Readings:
    """The readings of one stream after the first: for each, the tokens that it had beyond the first prompt."""

    __slots__ = ("_found", "_is_found", "beyond")

    def __init__(self) -> None:
        self.beyond: list[int] = []
        self._found = 0
        self._is_found = False

    def result(self, block: Mapping[str, Any], *, said_tokens: int) -> None:
        """Note the result of a tool; those that come together are read together."""
        self._found += result_tokens(block)
        if self._is_found:
            self.beyond.pop()
        self.beyond.append(self._found + said_tokens)
        self._is_found = True

    def said(self) -> None:
        """Note that the model goes on."""
        self._is_found = False


def result_tokens(block: Mapping[str, Any]) -> int:
    """Return about how many tokens a tool's result adds to the prompt."""
    content = block.get("content")
    if isinstance(content, list):
        found = (wire_json.mapping(item).get("encrypted_content") for item in content)
        characters = sum(len(text) for text in found if isinstance(text, str))
        return characters // _ENCRYPTED_CHARACTERS
    page = wire_json.mapping(wire_json.mapping(content).get("content"))
    data = wire_json.mapping(page.get("source")).get("data")
    return len(data) // _PLAIN_CHARACTERS if isinstance(data, str) else 0
