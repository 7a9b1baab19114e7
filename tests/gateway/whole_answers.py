"""A sound whole answer of each API, rich in kinds of content."""

from typing import Any

WHOLES: dict[str, Any] = {
    "openai": {
        "id": "x1",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hello",
                    "reasoning_content": "Hm",
                    "tool_calls": [
                        {
                            "id": "t",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        }
                    ],
                    "audio": {"id": "a", "data": "AAAA", "transcript": "Hi"},
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    },
    "anthropic": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "cw=="},
            {
                "type": "text",
                "text": "Hello",
                "citations": [{"type": "char_location", "cited_text": "a"}],
            },
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 9, "output_tokens": 4},
    },
    "gemini": {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "Hello"},
                        {"functionCall": {"name": "f", "args": {"a": 1}}},
                        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
                    ]
                },
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 9,
            "candidatesTokenCount": 4,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
        },
        "responseId": "r1",
    },
    "bedrock": {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "cw=="}}},
                    {"text": "Hello"},
                    {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13},
    },
    "cohere": {
        "id": "c1",
        "message": {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hello"}],
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
            "citations": [{"start": 0, "end": 1, "text": "a", "sources": [{"type": "tool"}]}],
        },
        "finish_reason": "COMPLETE",
        "usage": {"tokens": {"input_tokens": 9, "output_tokens": 4}},
    },
}
