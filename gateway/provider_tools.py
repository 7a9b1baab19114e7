"""
The most that tools which a provider runs itself may add to a call: searches, and prompts that nobody sent. Pure.

Such a tool makes the provider ask its model again with the result in the prompt, several times in one call. The
prompts of all passes are billed together.
"""

from typing import Final

import msgspec

# Passes after the first (https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons, read 2026-11:
# "the default limit is 10 iterations"; 11 passes were counted by users, first one included).
PASSES: Final = 10
# What one web search adds to the prompt. Nothing bounds it: the tool has no parameter for it, and its page no figure,
# but that "every search result is loaded" (of 2026-09-26,
# https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool). Recorded traffic has 5,400 and 6,000
# tokens for nine and ten results, Anthropic's examples of usage 6,039 and 14,468 in one call: this is more than twice
# the most of these. What goes beyond it is our loss, and flagged.
SEARCH_TOKENS: Final = 40_000


class ProviderTools(msgspec.Struct, frozen=True):
    """
    Tools of the provider's own in one call.

    `prompt_tokens` is the most that their texts add to the prompt. `repeats` says that one of them runs there, so that
    the prompt is read again; `result_tokens` is then the most that all results add to it (None: as much as the context
    takes), and `searches` the most that are paid for one by one.
    """

    prompt_tokens: int = 0
    repeats: bool = False
    result_tokens: int | None = 0
    searches: int = 0


NO_TOOLS: Final = ProviderTools()


class Unbounded(Exception):
    """Nothing bounds what the tools of a call may add: neither the results nor the context have a known size."""


def prompt_bound(
    tools: ProviderTools, *, input_tokens: int, output_tokens: int, context_tokens: int | None
) -> int:
    """Return the most tokens of all prompts together, where the first has `input_tokens`. Raises Unbounded."""
    if not tools.repeats:
        return input_tokens
    if tools.result_tokens is None:
        if context_tokens is None:
            raise Unbounded
        return input_tokens + PASSES * context_tokens
    longest = input_tokens + output_tokens + tools.result_tokens
    if context_tokens is not None:
        longest = min(longest, context_tokens)
    return input_tokens + PASSES * longest
