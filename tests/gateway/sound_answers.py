"""Sound answers of each API, streamed as pairs of name and JSON value (bytes go out as they are), and whole."""

from collections.abc import Mapping
from typing import Any, Final

Event = tuple[str, Any]

ANTHROPIC: Final[tuple[Event, ...]] = (
    (
        "message_start",
        {
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "content": [],
                "usage": {"input_tokens": 9, "cache_read_input_tokens": 2, "output_tokens": 1},
            }
        },
    ),
    ("content_block_start", {"index": 0, "content_block": {"type": "thinking", "thinking": "Hm"}}),
    ("content_block_delta", {"index": 0, "delta": {"type": "thinking_delta", "thinking": "so"}}),
    (
        "content_block_delta",
        {"index": 0, "delta": {"type": "signature_delta", "signature": "cw=="}},
    ),
    ("content_block_stop", {"index": 0}),
    ("content_block_start", {"index": 1, "content_block": {"type": "text", "text": ""}}),
    ("ping", {}),
    ("content_block_delta", {"index": 1, "delta": {"type": "text_delta", "text": "Hello"}}),
    (
        "content_block_delta",
        {
            "index": 1,
            "delta": {
                "type": "citations_delta",
                "citation": {
                    "type": "web_search_result_location",
                    "cited_text": "a",
                    "url": "https://a.example",
                    "title": "A",
                },
            },
        },
    ),
    ("content_block_stop", {"index": 1}),
    (
        "content_block_start",
        {"index": 2, "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}}},
    ),
    (
        "content_block_delta",
        {"index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a":'}},
    ),
    (
        "content_block_delta",
        {"index": 2, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
    ),
    ("content_block_stop", {"index": 2}),
    (
        "content_block_start",
        {
            "index": 3,
            "content_block": {"type": "server_tool_use", "id": "s1", "name": "s", "input": {}},
        },
    ),
    ("content_block_stop", {"index": 3}),
    (
        "message_delta",
        {
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 7, "server_tool_use": {"web_search_requests": 1}},
        },
    ),
    ("message_stop", {}),
)
GEMINI: Final[tuple[Event, ...]] = (
    (
        "",
        {
            "candidates": [
                {
                    "index": 0,
                    "content": {"role": "model", "parts": [{"text": "Hm", "thought": True}]},
                }
            ],
            "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
            "responseId": "r1",
            "modelVersion": "gemini",
        },
    ),
    (
        "",
        {
            "candidates": [
                {
                    "index": 0,
                    "content": {"parts": [{"text": "Hello", "thoughtSignature": "cw=="}]},
                    "groundingMetadata": {"webSearchQueries": ["a"]},
                    "logprobsResult": {
                        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
                        "topCandidates": [{"candidates": [{"token": "b"}]}],
                    },
                }
            ]
        },
    ),
    (
        "",
        {
            "candidates": [
                {
                    "index": 0,
                    "content": {
                        "parts": [
                            {
                                "functionCall": {
                                    "name": "f",
                                    "args": {"a": 1},
                                    "partialArgs": [
                                        {
                                            "jsonPath": "$.b",
                                            "stringValue": "x",
                                            "willContinue": False,
                                        }
                                    ],
                                    "willContinue": True,
                                },
                                "thoughtSignature": "cw==",
                            },
                            {"functionCall": {}},
                            {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
                            {"executableCode": {"language": "PYTHON", "code": "1"}},
                        ]
                    },
                }
            ]
        },
    ),
    (
        "",
        {
            "candidates": [{"index": 0, "finishReason": "STOP"}],
            "usageMetadata": {
                "promptTokenCount": 9,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 2,
                "totalTokenCount": 16,
                "cachedContentTokenCount": 1,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
            },
        },
    ),
)
BEDROCK: Final[tuple[Event, ...]] = (
    ("messageStart", {"role": "assistant"}),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hm"}}, "p": "abc"},
    ),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "cw=="}}},
    ),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Hello"}}),
    (
        "contentBlockDelta",
        {
            "contentBlockIndex": 1,
            "delta": {
                "citation": {"title": "A", "location": {"web": {"url": "https://a.example"}}}
            },
        },
    ),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    (
        "contentBlockStart",
        {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "f"}}},
    ),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"a":1}'}}}),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    (
        "messageStop",
        {"stopReason": "tool_use", "additionalModelResponseFields": {"stop_sequence": None}},
    ),
    (
        "metadata",
        {
            "usage": {
                "inputTokens": 9,
                "outputTokens": 4,
                "totalTokens": 13,
                "cacheReadInputTokens": 1,
                "cacheDetails": [{"ttl": "5m", "inputTokens": 1}],
            },
            "metrics": {"latencyMs": 5},
        },
    ),
)
COHERE: Final[tuple[Event, ...]] = (
    ("", {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}}),
    (
        "",
        {
            "type": "content-start",
            "index": 0,
            "delta": {"message": {"content": {"type": "thinking", "thinking": "Hm"}}},
        },
    ),
    ("", {"type": "content-end", "index": 0}),
    (
        "",
        {
            "type": "content-start",
            "index": 1,
            "delta": {"message": {"content": {"type": "text", "text": ""}}},
        },
    ),
    (
        "",
        {"type": "content-delta", "index": 1, "delta": {"message": {"content": {"text": "Hello"}}}},
    ),
    ("", {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will"}}}),
    (
        "",
        {
            "type": "tool-call-start",
            "index": 0,
            "delta": {
                "message": {
                    "tool_calls": {
                        "id": "t1",
                        "type": "function",
                        "function": {"name": "f", "arguments": ""},
                    }
                }
            },
        },
    ),
    (
        "",
        {
            "type": "tool-call-delta",
            "index": 0,
            "delta": {"message": {"tool_calls": {"function": {"arguments": '{"a":1}'}}}},
        },
    ),
    ("", {"type": "tool-call-end", "index": 0}),
    (
        "",
        {
            "type": "citation-start",
            "index": 0,
            "delta": {
                "message": {"citations": {"start": 0, "end": 2, "text": "He", "sources": []}}
            },
        },
    ),
    (
        "",
        {
            "type": "message-end",
            "delta": {
                "finish_reason": "TOOL_CALL",
                "usage": {
                    "billed_units": {"input_tokens": 5, "output_tokens": 4},
                    "tokens": {"input_tokens": 9, "output_tokens": 4},
                    "cached_tokens": 1,
                },
            },
        },
    ),
)


def _chunk(delta: Any, *, index: int = 0, reason: str | None = None, **fields: Any) -> Event:
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    head = {"id": "x1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return "", {**head, "choices": [choice], **fields}


OPENAI: Final[tuple[Event, ...]] = (
    _chunk({"role": "assistant", "content": ""}),
    _chunk({"reasoning_content": "Hm", "reasoning_details": [{"type": "reasoning.text"}]}),
    _chunk({"content": "Hello"}, usage=None),
    _chunk({"content": "You"}, index=1),
    _chunk({"audio": {"id": "a", "data": "AAAA", "transcript": "Hi"}}),
    _chunk(
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "t",
                    "type": "function",
                    "function": {"name": "f", "arguments": ""},
                }
            ]
        }
    ),
    _chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
    _chunk({}, reason="tool_calls"),
    _chunk({}, reason="stop", index=1),
    (
        "",
        {
            **_chunk({})[1],
            "choices": [],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        },
    ),
    ("", b"[DONE]"),
)
STREAMS: Final[Mapping[str, tuple[Event, ...]]] = {
    "openai": OPENAI,
    "anthropic": tuple((name, {"type": name, **body}) for name, body in ANTHROPIC),
    "gemini": GEMINI,
    "bedrock": BEDROCK,
    "cohere": COHERE,
}
