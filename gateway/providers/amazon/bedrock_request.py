"""
OpenAI's chat request as Converse's: every parameter translated, named as set aside, or refused. Pure.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (read 2026-11). What Converse has
no word for goes to the model itself in `additionalModelRequestFields`, by the model's family.
"""

from typing import Any, Final

from gateway.providers import wire_json
from gateway.providers.amazon import bedrock_messages
from gateway.providers.anthropic import anthropic_reasoning, anthropic_request
from gateway.providers.anthropic.anthropic_errors import invalid, unsupported

Json = dict[str, Any]

_ANY: Final[Json] = {"any": {}}
# https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html (read 2026-11): at `high` Nova takes
# no limit of its output, so that the answer could not be bounded.
_NOVA_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium"}
_GPT_OSS_EFFORTS: Final = frozenset({"low", "medium", "high"})


def translate(body: Json, *, model: str) -> Json:
    """Return the body for Converse; `max_completion_tokens` must be in it. Raises ProviderError."""
    anthropic_request.refuse(body)
    tools, choice = _tools(body)
    system, messages = bedrock_messages.translate(body["messages"], may_call_tools=bool(tools))
    sent: Json = {"messages": messages, "inferenceConfig": _inference(body, model=model)}
    if system:
        sent["system"] = system
    extra = _reasoning(body, model=model)
    if tools:
        sent["toolConfig"] = {"tools": tools}
        if choice.get("disable_parallel_tool_use"):
            # Only Claude can be told so, in its own words; Converse's would contradict them.
            extra["tool_choice"] = _claude_only(choice, model=model)
        elif (word := _tool_choice(choice)) is not None:
            sent["toolConfig"]["toolChoice"] = word
    if extra:
        sent["additionalModelRequestFields"] = extra
    if text_format := _format(body):
        sent["outputConfig"] = {"textFormat": text_format}
    return sent


def is_claude(model: str) -> bool:
    """Whether the model is one of Anthropic's; an inference profile named by its ARN does not tell."""
    return "anthropic.claude" in model


def _inference(body: Json, *, model: str) -> Json:
    """Temperature ends at 1 here for every model; Claude's own default is left out, as newer ones refuse the name."""
    config: Json = {"maxTokens": body["max_completion_tokens"]}
    for name, theirs in (("temperature", "temperature"), ("top_p", "topP")):
        value = min(body.get(name, 1), 1)
        if name in body and (value != 1 or not is_claude(model)):
            config[theirs] = value
    if stop := body.get("stop"):
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    return config


def _tools(body: Json) -> tuple[list[Json], Json]:
    """Return Converse's tools, none where none may be called, and Anthropic's choice among them."""
    given = anthropic_request.tools(body)
    choice = given.get("tool_choice", {"type": "auto"})
    if choice["type"] == "none":
        return [], choice
    written = []
    for tool in given.get("tools", ()):
        spec = {"name": tool["name"], "inputSchema": {"json": tool["input_schema"]}}
        spec |= {name: tool[name] for name in ("description", "strict") if name in tool}
        written.append({"toolSpec": spec})
        if mark := tool.get("cache_control"):
            written.append(bedrock_messages.cache_point(mark))
    return written, choice


def _tool_choice(choice: Json) -> Json | None:
    if choice["type"] == "tool":
        return {"tool": {"name": choice["name"]}}
    return _ANY if choice["type"] == "any" else None


def _claude_only(choice: Json, *, model: str) -> Json:
    if not is_claude(model):
        unsupported(
            "parallel_tool_calls",
            "This model cannot be kept from calling several tools at once. Leave it out.",
        )
    return choice


def _reasoning(body: Json, *, model: str) -> Json:
    """Return the fields that stand for `reasoning_effort`, by the model's family. Raises ProviderError."""
    effort = body.get("reasoning_effort")
    if not effort:
        return {}
    if is_claude(model):
        limit = body["max_completion_tokens"]
        return anthropic_reasoning.thinking(effort, model=model, max_tokens=limit)
    if "amazon.nova-2" in model:
        return {"reasoningConfig": _nova(effort)}
    if "openai.gpt-oss" in model:
        if effort not in _GPT_OSS_EFFORTS:
            invalid("reasoning_effort", "This model takes low, medium or high.")
        return {"reasoning_effort": effort}
    if effort == "none":
        return {}
    unsupported("reasoning_effort", "How much this model reasons cannot be set. Leave it out.")


def _nova(effort: str) -> Json:
    if effort == "none":
        return {"type": "disabled"}
    if effort not in _NOVA_EFFORTS:
        invalid("reasoning_effort", "This model takes none, low or medium.")
    return {"type": "enabled", "maxReasoningEffort": _NOVA_EFFORTS[effort]}


def _format(body: Json) -> Json | None:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html (read 2026-11): a schema as text."""
    schema = anthropic_request.schema(body)
    if schema is None:
        return None
    given = body["response_format"]["json_schema"]
    told: Json = {"name": given["name"], "schema": wire_json.encode(schema).decode()}
    if description := given.get("description"):
        told["description"] = description
    return {"type": "json_schema", "structure": {"jsonSchema": told}}
