"""
Turns and content blocks as they go on to Anthropic: those that may, with the fields that are known of each. Pure.

Thinking that we packed for another provider's model stays behind, as Anthropic would refuse it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from gateway import vocabulary
from gateway.dialects import responses_reasoning
from gateway.media_bounds import FILE_TOKENS
from gateway.provider_tools import ProviderTools
from gateway.providers import wire_json
from gateway.providers.anthropic.anthropic_native import ANTHROPIC, Need
from gateway.wire_checks import unsupported_value

Json = dict[str, Any]

# A document that is to be cited is cut into sentences, each of which is numbered, and Claude is told how to cite
# (600 tokens in recorded traffic).
_CITED_TOKENS: Final = 1_024
_SENTENCE_TOKENS: Final = 16
_SENTENCE_ENDS: Final = (b".", b"!", b"?", b"\\n", "。".encode(), b'"type"')

_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text", "citations"),
    "image": ("source", "transformations"),
    "document": ("source", "title", "context", "citations"),
    "search_result": ("source", "title", "content", "citations"),
    "tool_use": ("id", "name", "input", "caller", "toolset_name"),
    "tool_result": ("tool_use_id", "content", "is_error", "toolset_name"),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_reference": ("tool_name",),
    "browser_state": ("tabs", "state_changes"),
    "tool_addition": ("tool",),
    "tool_removal": ("tool",),
    "server_tool_use": ("id", "name", "input", "caller"),
    "web_search_tool_result": ("tool_use_id", "content", "caller"),
    "web_fetch_tool_result": ("tool_use_id", "content", "caller"),
    "tool_search_tool_result": ("tool_use_id", "content", "caller"),
}
_SOURCE: Final = ("type", "media_type", "data", "url")
_ONLY_ANTHROPIC: Final = frozenset(
    {"tool_reference", "tool_search_tool_result", "web_fetch_tool_result"}
)
# Which of its tools a conversation offers from here on.
TOOL_CHANGES: Final = frozenset({"tool_addition", "tool_removal"})
# Of Anthropic's own tools; what else one may find in a conversation belongs to tools that are not offered.
NATIVE_KINDS: Final = _ONLY_ANTHROPIC | {
    "server_tool_use",
    "web_search_tool_result",
    "browser_state",
    *TOOL_CHANGES,
}
_SIGNED: Final = {"thinking": "signature", "redacted_thinking": "data"}
_TURN: Final = ("role", "content", "clear_at", "output_config")


class Found:
    """What the walk through a request comes upon."""

    def __init__(self) -> None:
        self.needs: list[Need] = []
        self.lost: list[str] = []
        self.unknown: list[str] = []
        self.prompt_tokens = 0
        self.result_tokens: int | None = 0
        self.searches = 0
        self.repeats = False
        self.marks: list[Any] = []

    def tools(self) -> ProviderTools:
        """Return what the provider's own tools may add."""
        return ProviderTools(
            prompt_tokens=self.prompt_tokens,
            repeats=self.repeats,
            result_tokens=self.result_tokens,
            searches=self.searches,
        )

    def reads(self, value: Any) -> None:
        """Note a value that Claude may read beside what its chat says."""
        self.prompt_tokens += vocabulary.bytes_bound(wire_json.encode({"": value}))

    def adds(self, result_tokens: int | None) -> None:
        """Note that a tool runs at the provider, and the most that its results add to the prompt."""
        self.repeats = True
        if result_tokens is None or self.result_tokens is None:
            self.result_tokens = None
        else:
            self.result_tokens += result_tokens


def turn(message: Json, found: Found) -> Json:
    """Return a turn with the blocks that may go out. Raises InvalidRequest."""
    kept = pick(message, _TURN, found, path="messages")
    if "content" in kept:
        kept["content"] = content(kept["content"], found)
    return kept


def content(value: Any, found: Found) -> Any:
    """Return content, a string or blocks."""
    if not isinstance(value, list):
        return value
    return list(_blocks(value, found))


def pick(value: Json, names: Iterable[str], found: Found, *, path: str) -> Json:
    """Return the known fields of an object; others are noted, unless they say nothing."""
    kept = {name: value[name] for name in names if value.get(name) is not None}
    if len(kept) < len(value):
        found.unknown += [
            f"{path}.{name}"
            for name, inner in value.items()
            if name not in kept and inner is not None
        ]
    if "cache_control" in kept:
        found.marks.append(kept["cache_control"])
    return kept


def _blocks(blocks: list[Json], found: Found) -> Iterator[Json]:
    for block in blocks:
        kind = block["type"]
        if kind in _SIGNED and _is_ours(block.get(_SIGNED[kind])):
            continue
        kept = pick(
            block, ("type", *_FIELDS.get(kind, ()), "cache_control"), found, path="messages"
        )
        if isinstance(kept.get("source"), dict):
            kept["source"] = _source(kept["source"], found)
        if kind in ("tool_result", "search_result"):
            if "content" in kept:
                kept["content"] = content(kept["content"], found)
        elif kind in NATIVE_KINDS:
            _note_native(kept, found)
        _note_lost(kept, found)
        yield kept


def _source(source: Json, found: Found) -> Json:
    if source.get("type") != "content":
        return pick(source, _SOURCE, found, path="messages.source")
    kept = pick(source, ("type", "content"), found, path="messages.source")
    return {**kept, "content": content(kept["content"], found)}


def _is_ours(signed: object) -> bool:
    """Whether reasoning is another model's, packed by us, or of use to nobody."""
    return not signed or (isinstance(signed, str) and signed.startswith(responses_reasoning.MARK))


def _note_native(block: Json, found: Found) -> None:
    """What Anthropic's own tools did in an earlier turn; it comes back as it was."""
    kind = block["type"]
    if kind in TOOL_CHANGES:
        _check_reference(block.get("tool"))
    if any(True for part in objects(block) if "file_id" in part):
        unsupported_value(
            "messages", "files are not stored here. Leave out what names a 'file_id'."
        )
    apis = frozenset({ANTHROPIC}) if kind in _ONLY_ANTHROPIC else None
    reason = (
        f"content of type '{kind}' belongs to a tool of Anthropic's own, and no route of this model speaks its API. "
        "Leave it out, or send what it says as text."
    )
    found.needs.append(Need("messages", reason, apis) if apis else Need("messages", reason))
    # A page that is a document takes up more than its bytes say.
    found.prompt_tokens += FILE_TOKENS * sum(
        part.get("type") == "base64" for part in objects(block)
    )


def _check_reference(tool: Any) -> None:
    """A tool that is defined in the midst of a conversation would stand beside those that are bounded."""
    if not isinstance(tool, dict) or tool.get("type") != "tool_reference" or len(tool) > 2:
        unsupported_value(
            "messages",
            "all tools of a conversation stand in 'tools'. Name one of them by a 'tool_reference'.",
        )


def _note_lost(block: Json, found: Found) -> None:
    """Note what the chat does not tell of a block."""
    kind, citations = block["type"], block.get("citations")
    for name in ("context", "caller"):
        if name in block:
            found.reads(block[name])
    if "transformations" in block:
        found.lost.append("messages.transformations")
    if kind in ("document", "search_result") and isinstance(citations, dict):
        if citations.get("enabled"):
            found.lost.append("messages.citations")
            data = wire_json.encode(block)
            ends = sum(data.count(end) for end in _SENTENCE_ENDS)
            found.prompt_tokens += _CITED_TOKENS + _SENTENCE_TOKENS * ends
    elif kind == "text" and citations:
        found.lost.append("messages.citations")
        found.reads(citations)


def objects(value: Any) -> Iterator[Json]:
    """Yield every object in a JSON value; request bodies are not nested deeply (`MAX_JSON_DEPTH`)."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)
