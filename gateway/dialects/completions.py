"""
OpenAI's legacy text completions, spoken over chat: a prompt becomes one user message, an answer becomes `text`.

Parameters as in CreateCompletionRequest of OpenAI's specification 2.3.0 (2026-08-21). What a chat model cannot
honour (`suffix`, `best_of`, several prompts, prompts of tokens) is refused, never passed over in silence. `echo` is
done here: the prompt goes before each choice.
"""

from collections import defaultdict
from typing import Any, Final

from gateway import wire_checks
from gateway.dialects.chat import ChatWriter, with_cost
from gateway.providers import wire_json
from gateway.providers.base import ServeAs
from gateway.sse import frame
from gateway.wire_checks import missing, unsupported_value, wrong_type, wrong_value

OBJECT: Final = "text_completion"
DEFAULT_MAX_TOKENS: Final = 16  # OpenAI's
_FINISH_REASONS: Final = frozenset({"stop", "length", "content_filter"})

# What makes an answer that is no text, or is the other endpoint's way to say `prompt`.
_CHAT_ONLY: Final = (
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "modalities",
    "audio",
    "top_logprobs",
)
_LOGPROBS: Final = wire_checks.integer(0, 5)
_OF_THE_CHOICES: Final = ("choices", "object")


class CompletionsDialect:
    """See `Dialect`."""

    id_prefix = "cmpl-"
    chunk_object = OBJECT

    def __init__(self) -> None:
        self._echo = ""  # what goes before each choice

    def chat_body(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the request as a chat of one user message; raises InvalidRequest."""
        for name in _CHAT_ONLY:
            if body.get(name) is not None:
                unsupported_value(
                    name, "it belongs to /v1/chat/completions. Call that, or leave it out."
                )
        chat = {name: value for name, value in body.items() if name not in _OWN}
        _refuse_what_chats_cannot(body)
        prompt = _prompt(body.get("prompt"))
        chat["messages"] = [{"role": "user", "content": prompt}]
        self._echo = prompt if body.get("echo") else ""
        if body.get("logprobs") is not None:
            _LOGPROBS(body["logprobs"], "logprobs")
            chat |= {"logprobs": True, "top_logprobs": body["logprobs"]}
        if body.get("max_tokens") is None and body.get("max_completion_tokens") is None:
            chat["max_tokens"] = DEFAULT_MAX_TOKENS
        return chat

    def whole(self, answer: dict[str, Any], *, cost_nanousd: int) -> dict[str, Any]:
        """Return the chat completion as a text completion, with its cost."""
        choices = [_whole_choice(choice, echo=self._echo) for choice in answer.get("choices", ())]
        return with_cost(_as_text(answer, choices), cost_nanousd=cost_nanousd)

    def stream(self, serve_as: ServeAs) -> "CompletionsWriter":
        """Return the writer of one streamed answer."""
        return CompletionsWriter(serve_as, echo=self._echo)


class CompletionsWriter(ChatWriter):
    """See `StreamWriter`. A chunk without text and without an end (a role, reasoning) is left out."""

    __slots__ = ("_echo", "_offsets")
    object = OBJECT

    def __init__(self, serve_as: ServeAs, *, echo: str = "") -> None:
        super().__init__(serve_as)
        self._echo = echo
        self._offsets: defaultdict[int, int] = defaultdict(int)  # characters sent of each choice

    def events(self, chunks: list[bytes]) -> bytes:
        """Return the chunks as events of text."""
        return b"".join([self._event(wire_json.decode(chunk)) for chunk in chunks])

    def _event(self, chunk: dict[str, Any]) -> bytes:
        made = [self._choice(choice) for choice in chunk.get("choices", ())]
        choices = [choice for choice in made if choice["text"] or choice["finish_reason"]]
        return frame(wire_json.encode(_as_text(chunk, choices))) if choices else b""

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any]:
        index: int = choice.get("index", 0)
        echo = "" if index in self._offsets else self._echo
        made = _choice(choice, choice.get("delta") or {}, offset=self._offsets[index])
        made["text"] = echo + made["text"]
        self._offsets[index] += len(made["text"])
        return made


def _prompt(prompt: Any) -> str:
    """Return the one text of a prompt."""
    if prompt is None:
        missing("prompt")
    if prompt.__class__ is list and len(prompt) == 1 and prompt[0].__class__ in (str, list):
        prompt = prompt[0]
    if prompt.__class__ is str:
        return str(prompt)
    if prompt.__class__ is not list:
        wrong_type(prompt, "prompt", expected="a string")
    if not prompt:
        wrong_value("prompt", "expected a string, or an array of one string.")
    if all(item.__class__ is str for item in prompt):
        unsupported_value("prompt", "one call takes one prompt here. Make a call for each.")
    unsupported_value("prompt", "tokens belong to one vocabulary only. Send the prompt as text.")


def _refuse_what_chats_cannot(body: dict[str, Any]) -> None:
    if body.get("suffix"):
        unsupported_value("suffix", "chat models only continue. Put the suffix into the prompt.")
    if body.get("echo") is not None:
        wire_checks.boolean(body["echo"], "echo")
        if body["echo"] and body.get("logprobs") is not None:
            unsupported_value("echo", "a prompt has no logprobs here. Leave one of the two out.")
    best_of = body.get("best_of")
    if best_of is not None and best_of != (body.get("n") or 1):
        unsupported_value("best_of", "every choice is returned. Ask for them with 'n'.")


def _as_text(answer: dict[str, Any], choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the answer or chunk with these choices; what else the provider said stays."""
    rest = {name: value for name, value in answer.items() if name not in _OF_THE_CHOICES}
    return {"object": OBJECT, "choices": choices, **rest}


def _whole_choice(choice: dict[str, Any], *, echo: str) -> dict[str, Any]:
    made = _choice(choice, choice.get("message") or {}, offset=0)
    made["text"] = echo + made["text"]
    made["finish_reason"] = _finish_reason(choice.get("finish_reason") or "stop")
    return made


def _choice(choice: dict[str, Any], said: dict[str, Any], *, offset: int) -> dict[str, Any]:
    """Return a choice whose text begins after `offset` characters."""
    return {
        "index": choice.get("index", 0),
        "text": said.get("content") or said.get("refusal") or "",
        "logprobs": _logprobs(choice.get("logprobs"), offset=offset),
        "finish_reason": _finish_reason(choice.get("finish_reason")),
    }


def _finish_reason(reason: str | None) -> str | None:
    """Return one of the three reasons that text completions know."""
    return reason if reason is None or reason in _FINISH_REASONS else "stop"


def _logprobs(found: Any, *, offset: int) -> dict[str, Any] | None:
    """Return chat's list of tokens as the four parallel lists of text completions."""
    tokens = found.get("content") if isinstance(found, dict) else None
    if not tokens:
        return None
    offsets = [offset]
    for token in tokens[:-1]:
        offsets.append(offsets[-1] + len(token["token"]))
    return {
        "tokens": [token["token"] for token in tokens],
        "token_logprobs": [token["logprob"] for token in tokens],
        "top_logprobs": [
            {top["token"]: top["logprob"] for top in token.get("top_logprobs") or ()}
            for token in tokens
        ],
        "text_offset": offsets,
    }


# The parameters that chat does not know, or knows otherwise.
_OWN: Final = frozenset({"prompt", "suffix", "echo", "best_of", "logprobs"})
