"""Which clients there are: the environment and the script of each, and the features its script tries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FEATURES: Final = (
    "whole",
    "streaming",
    "tools",
    "structured",
    "vision",
    "embeddings",
    "responses",
    "count_tokens",
    "wrong_key",
    "no_credit",
    "no_model",
    "retries",
)
ERRORS: Final = ("wrong_key", "no_credit", "no_model", "retries")
CHAT: Final = ("whole", "streaming", "tools", "structured", "vision", *ERRORS)


@dataclass(frozen=True, slots=True)
class Client:
    """
    One client as a scenario plays it.

    `obeys_should_retry` is false for clients that try a call again whatever `x-should-retry` says.
    """

    name: str
    version: str
    environment: str
    script: str
    features: Sequence[str]
    obeys_should_retry: bool = True

    @property
    def id(self) -> str:
        """What the command line and pytest call it."""
        return f"{self.name} {self.version}"


CLIENTS: Final = (
    Client("openai", "3.54.0", "dev", "use_openai.py", (*CHAT, "embeddings", "responses")),
    Client("openai", "2.54.0", "sdk-previous", "use_openai.py", (*CHAT, "embeddings", "responses")),
    Client("anthropic", "2.12.0", "dev", "use_anthropic.py", (*CHAT, "count_tokens")),
    Client("anthropic", "0.125.0", "sdk-previous", "use_anthropic.py", (*CHAT, "count_tokens")),
    Client(
        "langchain-openai",
        "1.7.3",
        "langchain",
        "use_langchain.py",
        (*CHAT, "embeddings", "responses"),
    ),
    Client(
        "llama-index-llms-openai-like",
        "0.8.1",
        "llama-index",
        "use_llama_index.py",
        ("whole", "streaming", "tools", "embeddings", *ERRORS),
        obeys_should_retry=False,
    ),
    Client("pydantic-ai-slim", "2.68.0", "pydantic-ai", "use_pydantic_ai.py", (*CHAT, "responses")),
    Client("openai-agents", "0.24.0", "openai-agents", "use_openai_agents.py", CHAT),
    Client("instructor", "1.17.0", "instructor", "use_instructor.py", ("tools", "structured")),
    Client("litellm", "1.106.2", "litellm", "use_litellm.py", (*CHAT, "embeddings")),
    Client("any-llm-sdk", "1.40.2", "any-llm", "use_any_llm.py", ("whole", "streaming")),
    Client(
        "llm",
        "0.36",
        "llm",
        "use_llm.py",
        ("whole", "streaming", "structured", "wrong_key", "no_credit"),
    ),
    Client(
        "openai (npm)", "7.57.0", "node-sdks", "use_openai.mjs", (*CHAT, "embeddings", "responses")
    ),
    Client("@anthropic-ai/sdk", "1.12.0", "node-sdks", "use_anthropic.mjs", CHAT),
    Client(
        "ai + @ai-sdk/openai-compatible",
        "3.0.92",
        "node-sdks",
        "use_ai_sdk_compatible.mjs",
        (*CHAT, "embeddings"),
    ),
    Client(
        "ai + @ai-sdk/openai", "4.0.118", "node-sdks", "use_ai_sdk_openai.mjs", (*CHAT, "responses")
    ),
    Client("ai + @ai-sdk/anthropic", "4.0.105", "node-sdks", "use_ai_sdk_anthropic.mjs", CHAT),
    Client("@openrouter/ai-sdk-provider", "3.1.0", "node-sdks", "use_openrouter.mjs", CHAT),
    Client("@langchain/openai", "1.6.0", "node-sdks", "use_langchain.mjs", (*CHAT, "embeddings")),
)
