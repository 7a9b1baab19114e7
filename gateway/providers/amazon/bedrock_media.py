"""
Texts, images and documents of a message as Converse's content blocks. Pure.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html and API_runtime_DocumentBlock.html
(read 2026-11). Converse fetches no addresses but those of S3, which would be read with our account's rights.
"""

import re
from typing import Any, Final

from gateway.providers.anthropic import anthropic_media
from gateway.providers.anthropic.anthropic_errors import unsupported

Json = dict[str, Any]

NATIVE: Final = "converse"  # the type of a block that is Converse's already

_IMAGES: Final = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{_OFFICE}.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
# All that a document's name may hold; several blanks in a row are refused too.
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9()\[\] -]+|\s{2,}")
_MAX_NAME: Final = 200


def _image(part: Json, path: str) -> Json:
    url = part["image_url"]["url"]
    media_type, data = _inline(url, path=f"{path}.url")
    if media_type not in _IMAGES:
        unsupported(f"{path}.url", f"This model takes images of {', '.join(_IMAGES)} only.")
    return _native({"image": {"format": _IMAGES[media_type], "source": {"bytes": data}}})


def _file(part: Json, path: str) -> Json:
    file = part["file"]
    media_type, data = _inline(file["file_data"], path=f"{path}.file_data")
    if media_type not in _DOCUMENTS:
        known = ", ".join(_DOCUMENTS.values())
        unsupported(f"{path}.file_data", f"This model reads files of the types {known} only.")
    document = {
        "name": _name(str(file.get("filename") or "")),
        "format": _DOCUMENTS[media_type],
        "source": {"bytes": data},
    }
    return _native({"document": document})


def _inline(url: str, *, path: str) -> tuple[str, str]:
    if url.startswith(("https://", "http://", "s3://")):
        unsupported(path, "This model reads no addresses. Send the content as a data: URL.")
    return anthropic_media.inline(url, path=path)


def _name(filename: str) -> str:
    stem = filename.rpartition(".")[0] or filename
    return _NOT_IN_NAMES.sub("-", stem)[:_MAX_NAME].strip("- ") or "document"


def _native(block: Json) -> Json:
    return {"type": NATIVE, NATIVE: block}


PARTS: Final = {"text": anthropic_media.text, "image_url": _image, "file": _file}
