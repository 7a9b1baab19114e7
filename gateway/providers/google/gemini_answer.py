"""
The candidates of a Gemini answer as OpenAI's choices, whole or piece by piece. Pure.

Thought signatures go out where Google's own OpenAI endpoint puts them, `extra_content.google.thought_signature` of
a tool call (or of the message, for its text), and are taken back from there by `gemini_request`. Candidate fields
that OpenAI has no word for (groundingMetadata, citationMetadata, safetyRatings, ...) stay under their own names.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from gateway.providers import wire_json
from gateway.providers.base import ErrorKind, ProviderError
from gateway.providers.google.gemini_calls import OpenCall

# https://ai.google.dev/api/generate-content#FinishReason (read 2026-10).
_FINISH: Final[Mapping[str, str]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "OTHER": "content_filter",  # "other reasons": in practice a filter without a name
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "ESCALATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "IMAGE_OTHER": "content_filter",
    "NO_IMAGE": "content_filter",
}
# Reasons that mean there is no answer to use; by the last one, our account was restricted.
_FAILED: Final[Mapping[str, ErrorKind]] = {
    "MALFORMED_FUNCTION_CALL": "server",
    "MALFORMED_RESPONSE": "server",
    "UNEXPECTED_TOOL_CALL": "server",
    "TOO_MANY_TOOL_CALLS": "server",
    "MISSING_THOUGHT_SIGNATURE": "server",
    "PUP_LIMITED_DISABLED": "auth",
}
_UNSPECIFIED: Final = frozenset({"", "FINISH_REASON_UNSPECIFIED"})
_CANDIDATE_FIELDS: Final = frozenset({"content", "finishReason", "index", "logprobsResult"})
_ANSWER_FIELDS: Final = frozenset({"candidates", "usageMetadata", "responseId", "createTime"})
# Stands for an image where text is counted because no usage came: about what it is worth in words, not nothing.
_IMAGE_TEXT: Final = "[image]"

Delta = dict[str, Any]


class CandidateReader:
    """One candidate of one answer: reads parts as they come and keeps what is told at the end."""

    __slots__ = ("_answer_id", "_calls", "_open", "_signature", "index", "output_text", "reason")

    def __init__(self, *, answer_id: str, index: int, output_text: list[str]) -> None:
        self.index = index
        self.reason = ""
        self.output_text = output_text
        self._answer_id = answer_id
        self._calls = 0
        self._open: OpenCall | None = None
        self._signature = ""

    def read(self, candidate: Mapping[str, Any]) -> Delta:
        """Return what the candidate adds, as fields of a message or delta. Raises ProviderError."""
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason not in _UNSPECIFIED:
            self.reason = reason
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        delta: Delta = {}
        for part in parts if isinstance(parts, list) else ():
            if not isinstance(part, dict):
                raise ProviderError("bad_answer", "The provider's answer has a malformed part.")
            self._read_part(part, delta)
        return delta

    def rest(self) -> Delta:
        """Return what is left to tell: a call that the end cut off, and the signature of the text."""
        delta: Delta = {}
        if self._open is not None:
            self._add_call(self._open, delta)
            self._open = None
        if self._signature:
            _google(delta)["thought_signature"] = self._signature
        return delta

    def finish_reason(self) -> str:
        """Return OpenAI's word for how the candidate ended. Raises ProviderError where it broke off."""
        if kind := _FAILED.get(self.reason):
            raise ProviderError(
                kind, "The provider broke off its answer.", code=self.reason.lower()
            )
        word = _FINISH.get(self.reason, "stop")
        return "tool_calls" if self._calls and word == "stop" else word

    def _read_part(self, part: Mapping[str, Any], delta: Delta) -> None:
        signature = part.get("thoughtSignature")
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._read_call(call, signature, delta)
            return
        if isinstance(signature, str) and signature:
            self._signature = signature  # the last one stands for the text before it
        text, data = part.get("text"), part.get("inlineData")
        if isinstance(text, str):
            if text:
                name = "reasoning_content" if part.get("thought") else "content"
                delta[name] = delta.get(name, "") + text
                self.output_text.append(text)
        elif isinstance(data, dict) and str(data.get("mimeType")).startswith("image/"):
            delta.setdefault("images", []).append(_image(data))
            self.output_text.append(_IMAGE_TEXT)
        elif part.keys() - {"thoughtSignature", "thought"}:
            # Code and results of tools that run at Google: kept whole.
            _google(delta).setdefault("parts", []).append(dict(part))

    def _read_call(self, call: Mapping[str, Any], signature: object, delta: Delta) -> None:
        if self._open is None or call.get("name"):
            if self._open is not None:
                self._add_call(self._open, delta)
            self._open = OpenCall(call, signature=signature if isinstance(signature, str) else "")
        else:
            self._open.add(call)
        if not call.get("willContinue"):
            self._add_call(self._open, delta)
            self._open = None

    def _add_call(self, call: OpenCall, delta: Delta) -> None:
        arguments = wire_json.encode(call.arguments).decode()
        tool_call: dict[str, Any] = {
            "index": self._calls,
            "id": call.id or self._call_id(),
            "type": "function",
            "function": {"name": call.name, "arguments": arguments},
        }
        if call.signature:
            _google(tool_call)["thought_signature"] = call.signature
        self._calls += 1
        delta.setdefault("tool_calls", []).append(tool_call)
        self.output_text += (call.name, arguments)

    def _call_id(self) -> str:
        """Gemini before 3 gives calls no id; the same answer always gives the same one."""
        seed = f"{self._answer_id}/{self.index}/{self._calls}"
        return f"call_{hashlib.sha256(seed.encode()).hexdigest()[:24]}"


def check_prompt(body: Mapping[str, Any]) -> None:
    """Raise ProviderError `content_policy` where the prompt was blocked, so that there is no candidate."""
    feedback = body.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if reason and not body.get("candidates"):
        raise ProviderError(
            "content_policy",
            f"The provider's content policy refused this prompt ({str(reason)[:60]}).",
            status=400,
            code=str(reason).lower()[:60],
        )


def extra_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an answer or event that have no place in OpenAI's form."""
    return {name: value for name, value in body.items() if name not in _ANSWER_FIELDS}


def extra_choice_fields(candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a candidate that have no place in OpenAI's form."""
    return {name: value for name, value in candidate.items() if name not in _CANDIDATE_FIELDS}


def logprobs(candidate: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return OpenAI's `logprobs` of a choice, None where there are none."""
    result = candidate.get("logprobsResult")
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(chosen, list):
        return None
    tops = result.get("topCandidates")
    tops = tops if isinstance(tops, list) else []
    others = [_top(item) for item in tops] + [[]] * (len(chosen) - len(tops))
    content = [
        {**_logprob(item), "top_logprobs": other}
        for item, other in zip(chosen, others, strict=False)
        if isinstance(item, dict)
    ]
    return {"content": content, "refusal": None}


def _top(item: Any) -> list[dict[str, Any]]:
    candidates = item.get("candidates") if isinstance(item, dict) else None
    return [_logprob(other) for other in candidates or () if isinstance(other, dict)]


def _logprob(item: Mapping[str, Any]) -> dict[str, Any]:
    """A probability of 1 has the logarithm 0, which Google leaves out."""
    token = str(item.get("token") or "")
    told = item.get("logProbability")
    return {
        "token": token,
        "logprob": told if isinstance(told, int | float) else 0.0,
        "bytes": list(token.encode("utf-8", "surrogatepass")),
    }


def _google(holder: Delta) -> dict[str, Any]:
    google: dict[str, Any] = holder.setdefault("extra_content", {}).setdefault("google", {})
    return google


def _image(data: Mapping[str, Any]) -> dict[str, Any]:
    url = f"data:{data['mimeType']};base64,{data.get('data') or ''}"
    return {"type": "image_url", "image_url": {"url": url}}
