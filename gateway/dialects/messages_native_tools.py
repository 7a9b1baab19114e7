"""
Tools of a request as they go on to Anthropic, and what each may cost there. Pure.

A tool that the client runs costs the tokens of its description. One that Anthropic runs makes it read the prompt
again for each result, and a web search has a fee (https://platform.claude.com/docs/en/about-claude/pricing): how often
it may run is written into the request, so that the bound holds.
"""

import re
from typing import Any, Final

from gateway import wire_checks
from gateway.dialects.messages_native_blocks import Found, pick
from gateway.provider_tools import SEARCH_TOKENS
from gateway.providers.anthropic.anthropic_native import ANTHROPIC, Need
from gateway.wire_checks import unsupported_value

Json = dict[str, Any]

# Where the request names no maximum; the most that it may name.
MAX_USES: Final = 5
_MOST_USES: Final = wire_checks.integer(1, 100)
# The text that describes one to Claude: up to 735 tokens, the computer's, and 499 beside it; 700 for the editor, 325
# for bash. A toolset is 4,590 tokens (the computer's) or 6,670 and 880 more with all of its members (the browser's):
# https://platform.claude.com/docs/en/about-claude/pricing#specific-tool-pricing, of 2026-10.
_TOOL_TOKENS: Final = 1_536
_TOOLSET_TOKENS: Final = 16_384

_COMMON: Final = ("type", "name", "cache_control", "strict", "defer_loading", "allowed_callers")
_CUSTOM: Final = (
    *_COMMON,
    "description",
    "input_schema",
    "input_examples",
    "eager_input_streaming",
)
_CLIENTS: Final = (
    *_COMMON,
    "input_examples",
    "display_width_px",
    "display_height_px",
    "display_number",
    "enable_zoom",
    "max_characters",
    "configs",
)
_SERVERS: Final = (
    *_COMMON,
    "max_uses",
    "allowed_domains",
    "blocked_domains",
    "user_location",
    "citations",
    "max_content_tokens",
    "use_cache",
    "url_sources",
)
# What a chat can say of a tool.
_TRANSLATED: Final = frozenset(
    {"type", "name", "description", "input_schema", "strict", "cache_control"}
)
_CLIENT: Final = re.compile(
    r"(bash|text_editor|computer|memory|computer_toolset|browser_toolset)_20\d{6}"
)
_SEARCH: Final = re.compile(r"web_search_(20\d{6})")
_FETCH: Final = re.compile(r"web_fetch_(20\d{6})")
_TOOL_SEARCH: Final = re.compile(r"tool_search_tool_(regex|bm25)(_20\d{6})?")
# From these versions on the results are filtered by code, in a container, unless the model alone may call the tool.
_DIRECT_UNTIL: Final = {"web_search": "20250305", "web_fetch": "20250910"}


def is_native(kind: object) -> bool:
    """Whether a tool's type is one of Anthropic's own."""
    return isinstance(kind, str) and kind != "custom"


def is_run_by_client(kind: str) -> bool:
    """Whether a tool of Anthropic's own is run by the client, whose calls it answers."""
    return _CLIENT.fullmatch(kind) is not None


def tools(given: list[Json], found: Found) -> list[Json]:
    """Return the tools with the fields that may go out. Raises InvalidRequest."""
    return [_tool(tool, found, path=f"tools[{n}]") for n, tool in enumerate(given)]


def _tool(tool: Json, found: Found, *, path: str) -> Json:
    kind = tool.get("type")
    if not is_native(kind):
        kept = pick(tool, _CUSTOM, found, path="tools")
        beyond = {name: value for name, value in kept.items() if name not in _TRANSLATED}
        if beyond:
            found.lost += [f"tools.{name}" for name in beyond]
            found.reads(beyond)
        return kept
    if is_run_by_client(str(kind)):
        found.needs.append(_need(kind, path))
        found.prompt_tokens += _TOOLSET_TOKENS if "toolset" in str(kind) else _TOOL_TOKENS
        kept = pick(tool, _CLIENTS, found, path="tools")
        found.reads(kept)
        return kept
    kept = pick(tool, _SERVERS, found, path="tools")
    found.prompt_tokens += _TOOL_TOKENS
    found.reads(kept)
    _run_by_provider(kept, found, path=path)
    return kept


def _run_by_provider(tool: Json, found: Found, *, path: str) -> None:
    kind = str(tool["type"])
    if version := _SEARCH.fullmatch(kind):
        _called_directly(tool, version[1], path=path)
        uses = _limited(tool, path)
        found.searches += uses
        found.adds(uses * SEARCH_TOKENS)
        # Google has no version but the first
        # (https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool, of 2026-09-26).
        is_newer = version[1] > _DIRECT_UNTIL["web_search"]
        found.needs.append(_need(kind, path, only_anthropic=is_newer))
    elif version := _FETCH.fullmatch(kind):
        _called_directly(tool, version[1], path=path)
        _limited(tool, path)
        # `max_content_tokens` is no bound: it "applies to text content, not to binary content such as PDFs", and "is
        # approximate" (https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-fetch-tool, of 2026-09-26).
        found.adds(None)
        found.needs.append(_need(kind, path, only_anthropic=True))
    elif _TOOL_SEARCH.fullmatch(kind):
        found.adds(0)  # what it finds are tools of this request
        found.needs.append(_need(kind, path, only_anthropic=True))
    else:
        unsupported_value(
            f"{path}.type",
            f"'{kind[:60]}' is a tool of Anthropic's own and not offered: what it costs is neither bounded nor told "
            "by its answers. Describe one with a name and an 'input_schema' and run it yourself.",
        )


def _limited(tool: Json, path: str) -> int:
    """Return how often the tool may run, which is written into it."""
    uses: int = tool.setdefault("max_uses", MAX_USES)
    _MOST_USES(uses, f"{path}.max_uses")
    return uses


def _called_directly(tool: Json, version: str, *, path: str) -> None:
    family = "web_search" if tool["type"].startswith("web_search") else "web_fetch"
    callers = tool.get("allowed_callers")
    last = _DIRECT_UNTIL[family]
    if (callers is None and version > last) or (callers is not None and callers != ["direct"]):
        unsupported_value(
            f"{path}.allowed_callers",
            f"results are not filtered by code here. Send [\"direct\"], or use '{family}_{last}'.",
        )


def _need(kind: object, path: str, *, only_anthropic: bool = False) -> Need:
    reason = (
        f"'{str(kind)[:60]}' is a tool of Anthropic's own, and no route of this model speaks its API. "
        "Describe one with a name and an 'input_schema' and run it yourself, or choose a model that Anthropic serves."
    )
    param = f"{path}.type"
    return Need(param, reason, frozenset({ANTHROPIC})) if only_anthropic else Need(param, reason)
