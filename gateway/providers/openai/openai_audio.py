"""
Audio in OpenAI's chat answers: `message.audio`, and `delta.audio` of streams. Pure.

A provider keeps its answers under an id, in our account and for all of our customers, so that its id is exchanged for
one of ours; as nothing is kept under that, `expires_at` says that it has expired already.
"""

from typing import Any

from gateway.providers.base import ProviderError, ServeAs


def relabel_message(message: dict[str, Any], *, serve_as: ServeAs, index: int) -> int:
    """Bring the audio of a whole answer into our form, in place; return its size in base64. Raises ProviderError."""
    audio = message.get("audio")
    if audio is None:
        return 0
    if not isinstance(audio, dict) or not isinstance(audio.get("data"), str):
        raise ProviderError("bad_answer", "The provider's answer has audio without data.")
    audio["id"] = _id(serve_as, index)
    audio["expires_at"] = serve_as.created
    if not isinstance(audio.get("transcript"), str):
        audio["transcript"] = ""
    return len(audio["data"])


def relabel_delta(delta: dict[str, Any], *, serve_as: ServeAs, index: int) -> None:
    """Exchange what a piece of audio tells of where it is kept, in place."""
    audio = delta.get("audio")
    if not isinstance(audio, dict):
        return
    if "id" in audio:
        audio["id"] = _id(serve_as, index)
    if "expires_at" in audio:
        audio["expires_at"] = serve_as.created


def _id(serve_as: ServeAs, index: int) -> str:
    own = "audio_" + serve_as.id.rpartition("-")[2]
    return f"{own}_{index}" if index else own
