"""
Images, audio and files of a message as Gemini's parts. Pure.

Content inside the request goes as `inlineData`. Google also fetches public addresses by itself (`fileData`:
https://ai.google.dev/gemini-api/docs/file-input-methods, read 2026-10), so that we never do.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.providers.google.gemini_errors import refused

_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w.+-]+=[^;,]*)*;base64,")
_HOST: Final = re.compile(r"[a-z0-9.-]+")
# Types of audio by OpenAI's word (https://ai.google.dev/gemini-api/docs/audio, read 2026-10).
_AUDIO: Final[Mapping[str, str]] = {
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "aiff": "audio/aiff",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
}
_BY_EXTENSION: Final[Mapping[str, str]] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
}


def image_part(image: Mapping[str, Any], *, param: str) -> dict[str, Any]:
    """Return the part for an `image_url`; only images, whose tokens are bounded. Raises ProviderError."""
    url = str(image["url"])
    param = f"{param}.image_url.url"
    if not url.startswith("data:"):
        return _fetched(url, default="image/jpeg", only="image/", param=param)
    part = _inline(url, param=param)
    if not part["inlineData"]["mimeType"].startswith("image/"):
        raise refused("An image must have a type such as image/png.", param=param)
    return part


def audio_part(audio: Mapping[str, Any], *, param: str) -> dict[str, Any]:
    """Return the part for an `input_audio`. Raises ProviderError."""
    kind = _AUDIO.get(str(audio["format"]).lower())
    if kind is None:
        known = ", ".join(_AUDIO)
        raise refused(f"This model takes audio as {known}.", param=f"{param}.input_audio.format")
    return {"inlineData": {"mimeType": kind, "data": audio["data"]}}


def file_part(file: Mapping[str, Any], *, param: str) -> dict[str, Any]:
    """Return the part for a `file`: a data: URL, an address, or bare base64 typed by its name. Raises ProviderError."""
    data, param = str(file["file_data"]), f"{param}.file.file_data"
    if data.startswith("data:"):
        return _inline(data, param=param)
    if data.startswith(("https://", "http://")):
        return _fetched(data, default="application/pdf", only="", param=param)
    kind = _type_by_name(str(file.get("filename") or ""), default="application/pdf")
    return {"inlineData": {"mimeType": kind, "data": data}}


def _inline(url: str, *, param: str) -> dict[str, Any]:
    head = _DATA_URL.match(url[:300])
    if head is None:
        raise refused("A data: URL must name its type and be base64.", param=param)
    return {"inlineData": {"mimeType": head[1].lower(), "data": url[head.end() :]}}


def _fetched(url: str, *, default: str, only: str, param: str) -> dict[str, Any]:
    """Return the part for an address; one without a known ending is taken for the `default` type."""
    host, path = _split(url)
    if not _HOST.fullmatch(host) or "\\" in url:
        raise refused("The address cannot be read.", param=param)
    if _is_withheld(host):
        raise refused(
            "Addresses of Google's APIs and of YouTube are not taken. Send the content as a data: URL.",
            param=param,
        )
    kind = _type_by_name(path, default=default)
    if not kind.startswith(only):
        raise refused("An image must have a type such as image/png.", param=param)
    return {"fileData": {"mimeType": kind, "fileUri": url}}


def _split(url: str) -> tuple[str, str]:
    """Return host and path; an address that is none has no host."""
    try:
        address = urlsplit(url)
        return (address.hostname or "").rstrip("."), address.path
    except ValueError:
        return "", ""


def _is_withheld(host: str) -> bool:
    """Google's own addresses would be read with our account's rights; a video costs more than an image may."""
    if host == "storage.googleapis.com":
        return False
    names = ("googleapis.com", "youtube.com", "youtube-nocookie.com", "youtu.be")
    return any(host == name or host.endswith("." + name) for name in names)


def _type_by_name(path: str, *, default: str) -> str:
    return _BY_EXTENSION.get(path.rpartition(".")[2].lower(), default)
