"""
Recorded traffic of OpenAI-compatible providers, for the tests of the translators.

Our own few fixtures are in `recordings/`; the large collection lies beside the repository
(`../shared/recorded`, one JSON file a case) and is used where it is present.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

OWN = Path(__file__).parent / "recordings"
SHARED = Path(__file__).parents[3] / "shared" / "recorded"
PROVIDERS = (
    "alibaba azure azure-foundry bedrock-mantle cerebras deepseek gpustack groq huggingface mistral moonshot"
    " ollama openai openai-compatible openrouter perplexity snowflake together zai"
).split()
MISSING = f"the recorded traffic is not beside the repository ({SHARED.name})"


class Exchange(NamedTuple):
    """One request (None in fixtures) and its answer, as bytes."""

    name: str
    api: str
    streamed: bool
    status: int
    headers: dict[str, str]
    data: bytes
    request: Any


def exchanges() -> Iterator[Exchange]:
    """Yield every chat and embeddings exchange of OpenAI-compatible providers."""
    for provider in PROVIDERS:
        for path in sorted((SHARED / provider).glob("*.json")):
            case = json.loads(path.read_text())
            if case["api"] not in ("chat", "embeddings"):
                continue
            for number, found in enumerate(case["interactions"]):
                if "/api/embed" in (found["request"] or {}).get("url", ""):
                    continue  # Ollama's own API
                yield _exchange(f"{provider}/{path.stem}/{number}", case, found)


def own_streams() -> Iterator[Exchange]:
    """Yield the streams in `recordings/`."""
    for path in sorted(OWN.glob("*/*.sse")):
        name = f"{path.parent.name}/{path.stem}"
        yield Exchange(name, "chat", True, 200, {}, path.read_bytes(), None)


def streams() -> list[Exchange]:
    """Return all recorded chat streams, ours first."""
    return [*own_streams(), *(item for item in exchanges() if item.streamed and item.status == 200)]


def _exchange(name: str, case: dict[str, Any], found: dict[str, Any]) -> Exchange:
    request, response = found["request"] or {}, found["response"]
    body, encoding = response["body"], response["body_encoding"]
    if encoding == "sse-data-lines":
        text = "".join(f"data: {line}\n\n" for line in body)
    else:
        text = body if encoding == "text" else json.dumps(body)
    # One chat case asks the embeddings endpoint too.
    api = "embeddings" if "embedding" in request.get("url", "") else case["api"]
    headers = {key.lower(): value for key, value in (response["headers"] or {}).items()}
    return Exchange(
        name,
        api,
        bool(case["stream"]),
        response["status"],
        headers,
        text.encode(),
        request.get("body"),
    )
