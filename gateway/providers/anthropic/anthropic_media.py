"""
Texts, images and files of a message as Anthropic's content blocks. Pure.

https://platform.claude.com/docs/en/build-with-claude/vision and /pdf-support (read 2026-11).
"""

import base64
import binascii
import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from gateway.providers.anthropic.anthropic_errors import invalid, unsupported

Json = dict[str, Any]

_IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.=+-]+)*),(.*)", re.DOTALL)


def text(part: Json, path: str) -> Json:
    return {"type": "text", "text": part["text"]}


def _image(part: Json, path: str) -> Json:
    """An address is fetched by Anthropic, never by us."""
    url = part["image_url"]["url"]
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media_type, data = inline(url, path=f"{path}.url")
    if media_type not in _IMAGE_TYPES:
        known = ", ".join(sorted(_IMAGE_TYPES))
        unsupported(f"{path}.url", f"This model takes images of the types {known} only.")
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}


def _file(part: Json, path: str) -> Json:
    """PDF and plain text are what Anthropic reads."""
    file = part["file"]
    url = file["file_data"]
    if url.startswith(("https://", "http://")):
        source = {"type": "url", "url": url}
    else:
        media_type, data = inline(url, path=f"{path}.file_data")
        source = {"type": "base64", "media_type": media_type, "data": data}
        if media_type == "text/plain":
            source |= {"type": "text", "data": _plain(data, path=f"{path}.file_data")}
        elif media_type != "application/pdf":
            unsupported(f"{path}.file_data", "This model reads PDF and plain text files only.")
    name = file.get("filename")
    return {"type": "document", "source": source, **({"title": name} if name else {})}


def inline(url: str, *, path: str) -> tuple[str, str]:
    """Return media type and base64 of a data URL."""
    found = _DATA_URL.fullmatch(url)
    if found is None:
        invalid(path, "expected a data: URL with a media type, or an https address.")
    media_type = (found[1] or "text/plain").lower().replace("image/jpg", "image/jpeg")
    if ";base64" in found[2].lower():
        return media_type, found[3]
    return media_type, base64.b64encode(unquote_to_bytes(found[3])).decode()


def _plain(data: str, *, path: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        invalid(path, "expected text in UTF-8, in base64.")


PARTS: Final = {"text": text, "image_url": _image, "file": _file}
