"""Every field of Anthropic's own request types goes on, is translated, or is refused on purpose; none is forgotten."""

import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import anthropic.types as general
import anthropic.types.beta as beta
import pytest
from anthropic.types import beta as beta_types
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_create_params
from typing_extensions import is_typeddict

from gateway.dialects import messages_native, messages_native_blocks, messages_native_tools
from gateway.dialects.messages_native_blocks import Found
from gateway.dialects.messages_request import _TRANSLATED
from gateway.providers.anthropic import anthropic_native
from gateway.wire_checks import InvalidRequest
from tests.gateway.test_messages import ASKED
from tests.gateway.test_messages_native import call_of

# Of tools and features that are not offered; answers never hold them, so that no conversation has them.
REFUSED_BLOCKS = {
    "advisor_tool_result",
    "bash_code_execution_tool_result",
    "code_execution_tool_result",
    "compaction",
    "container_upload",
    "fallback",
    "mcp_tool_listing",
    "mcp_tool_result",
    "mcp_tool_use",
    "text_editor_code_execution_tool_result",
}
REFUSED_TOOLS = re.compile(r"(code_execution|advisor)_20\d{6}|mcp_toolset")
# Of results that code has filtered, which is not offered.
UNSENT = {"response_inclusion"}
# Named as ignored: of an account with Anthropic, or of a message whose id is ours.
IGNORED = {
    "billing_policy",
    "betas",  # the header
    "diagnostics",
    "fallback_credit_token",
    "user_profile_id",
    "workspace_id",
}


def members(union: Any) -> Iterator[Any]:
    """Yield the typed dictionaries of a union, however it is nested."""
    if is_typeddict(union):
        yield union
        return
    for part in get_args(union):
        yield from members(part)


def kind_of(found: Any) -> str:
    names = re.findall(r"Literal\['([^']+)'", str(get_type_hints(found).get("type", "")))
    return names[0] if names else "custom"


def named(*unions: Any) -> list[Any]:
    found = [one for union in unions for one in members(union)]
    return [pytest.param(one, id=f"{one.__module__.count('beta')}-{one.__name__}") for one in found]


@pytest.mark.parametrize("block", named(general.ContentBlockParam, beta.BetaContentBlockParam))
def test_content_blocks(block):
    kind, names = kind_of(block), set(get_type_hints(block))

    if kind in REFUSED_BLOCKS:
        with pytest.raises(InvalidRequest):
            call_of(messages=[*ASKED["messages"], {"role": "user", "content": [{"type": kind}]}])
        return
    value = {name: {"type": "tool_reference"} if name == "tool" else {"x": 1} for name in names}
    found = Found()
    [kept] = messages_native_blocks.content([{**value, "type": kind}], found)
    assert set(kept) == names
    assert [name for name in found.unknown if not name.startswith("messages.source")] == []


@pytest.mark.parametrize("tool", named(general.ToolUnionParam, beta_types.BetaToolUnionParam))
def test_tools(tool):
    kind, names = kind_of(tool), set(get_type_hints(tool)) - UNSENT
    given: dict[str, Any] = {name: [] for name in names}
    given |= {"type": kind, "max_uses": 1, "allowed_callers": ["direct"]}
    given = {name: value for name, value in given.items() if name in names}

    if REFUSED_TOOLS.fullmatch(kind):
        with pytest.raises(InvalidRequest):
            messages_native_tools.tools([given], Found())
        return
    found = Found()
    [kept] = messages_native_tools.tools([given], found)
    assert set(kept) >= names
    assert found.unknown == []


@pytest.mark.parametrize("params", [message_create_params, beta_create_params])
def test_parameters(params):
    base = params.MessageCreateParamsBase
    known = {*_TRANSLATED, *messages_native.KNOWN, "stream", *IGNORED}

    assert set(base.__annotations__) <= known


def test_changes_of_tools_go_on_by_reference_only():
    def turns(tool: Any) -> dict[str, Any]:
        removal = {"type": "tool_removal", "tool": tool}
        system = {"role": "system", "content": [removal, {"type": "text", "text": "No more."}]}
        return {"messages": [*ASKED["messages"], system]}

    asked = turns({"type": "tool_reference", "name": "f"})
    native = call_of(**asked).native
    assert native.body["messages"] == asked["messages"]
    assert {need.apis for need in native.needs} == {anthropic_native.SPEAKING}
    inline = {"type": "tool_definition", "definition": {"name": "g", "input_schema": {}}}
    for tool in (inline, {"type": "tool_reference", "name": "f", "definition": {}}, None):
        with pytest.raises(InvalidRequest):
            call_of(**turns(tool))
