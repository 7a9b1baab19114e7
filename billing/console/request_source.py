"""A request of the log as a command to run again."""

import json

from billing.bodies import redaction

SAMPLES: dict[str, dict[str, object]] = {
    "chat/completions": {"messages": [{"role": "user", "content": "…"}]},
    "messages": {"max_tokens": 1024, "messages": [{"role": "user", "content": "…"}]},
    "completions": {"prompt": "…"},
    "responses": {"input": "…"},
    "embeddings": {"input": "…"},
    "moderations": {"input": "…"},
    "images/generations": {"prompt": "…"},
    "audio/speech": {"input": "…", "voice": "alloy"},
    "rerank": {"query": "…", "documents": ["…"]},
}


def curl(*, base_url: str, endpoint: str, model: str, streamed: bool, body: str = "") -> str:
    """Return the request for curl: its stored body, or the frame of one with the prompt left open."""
    if not body or not _is_json(body):
        frame = {"model": model, **SAMPLES.get(endpoint, {})}
        body = json.dumps({**frame, "stream": True} if streamed else frame, ensure_ascii=False)
    quoted = body.replace("'", "'\\''")
    return (
        f"curl {base_url}/{endpoint} \\\n"
        '  -H "Authorization: Bearer $EXERATI_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{quoted}'"
    )


def _is_json(text: str) -> bool:
    try:
        return len(text) < redaction.MOST_CHARACTERS and isinstance(json.loads(text), dict)
    except ValueError:
        return False
