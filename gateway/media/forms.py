"""
`multipart/form-data` bodies: read once, within limits, into memory. What goes out is written anew by
`gateway.providers.form_data`.

Django's parser does the reading. Nothing a client names is used as a path: an upload keeps a cleaned name, for its
extension, and bytes.
"""

import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from gateway.api_error import ApiError
from gateway.wire_checks import wrong_value

MAX_FIELDS: Final = 64
MAX_FILES: Final = 17  # sixteen images and a mask
MAX_FIELD_BYTES: Final = 256 * 1024
MAX_FILENAME: Final = 100
_BOUNDARY: Final = re.compile(r'boundary="?([ -~]{1,70}?)"?\s*(?:;|$)', re.IGNORECASE)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a form. `name` is fit for a header; `content_type` is what the client claims."""

    field: str
    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """A form: texts by field in the order given (fields named `x[]` and `x` are one), and files."""

    texts: dict[str, list[str]]
    files: tuple[Upload, ...]

    def files_of(self, field: str) -> tuple[Upload, ...]:
        """Return the files of one field, in order."""
        return tuple(upload for upload in self.files if upload.field == field)


class _InMemory(FileUploadHandler):
    """Collects files; the body is bounded already, so that their sum is too."""

    def __init__(self) -> None:
        super().__init__()
        self.uploads: list[Upload] = []
        self._parts: list[bytes] = []

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file."""
        super().new_file(*args, **kwargs)
        self._parts = []

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Keep a piece of it; nobody else gets it."""
        self._parts.append(raw_data)

    def file_complete(self, file_size: int) -> Any:
        """End it."""
        upload = Upload(
            field=(self.field_name or "").removesuffix("[]"),
            name=clean_name(self.file_name or ""),
            content_type=(self.content_type or "").lower(),
            data=b"".join(self._parts),
        )
        self.uploads.append(upload)
        return upload


def is_form(content_type: str) -> bool:
    """Whether a body is declared as a form."""
    return content_type.lower().startswith("multipart/form-data")


def parse(content_type: str, body: bytes) -> Form:
    """Return the form in the body; raises ApiError `invalid_form`, or InvalidRequest for a field that is too long."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise invalid("its content type names no boundary.")
    end = b"--" + boundary[1].encode() + b"--"
    if end not in body[-len(end) - 64 :]:
        raise invalid("its last boundary is missing, so part of it may be, too.")
    handler = _InMemory()
    meta = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body))}
    try:
        texts, _ = MultiPartParser(meta, BytesIO(body), [handler], "utf-8").parse()
    except MultiPartParserError as error:
        raise invalid(f"{str(error)[:120]}.") from None
    except SuspiciousOperation:  # too many fields or files, or too large ones
        raise invalid(
            f"it has more than {MAX_FIELDS} fields or {MAX_FILES} files, or fields that are too large."
        ) from None
    return Form(_texts(texts), _files(handler.uploads))


def without_boundary(content_type: str, body: bytes) -> bytes:
    """Return what a body says, whatever words it is divided by: clients choose new ones for each try."""
    boundary = _BOUNDARY.search(content_type) if is_form(content_type) else None
    return body if boundary is None else body.replace(boundary[1].encode(), b"")


def invalid(problem: str) -> ApiError:
    """Return the answer to a form that cannot be read."""
    return ApiError("invalid_form", f"The form cannot be read: {problem}")


def clean_name(name: str) -> str:
    """Return the last part of a file name with nothing in it that means something to a header, shell or path."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return _UNSAFE.sub("_", last)[-MAX_FILENAME:].lstrip("._-") or "file"


def _texts(found: Any) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for name, values in found.lists():
        texts.setdefault(name.removesuffix("[]"), []).extend(values)
    if sum(map(len, texts.values())) > MAX_FIELDS:
        raise invalid(f"it has more than {MAX_FIELDS} fields.")
    for name, values in texts.items():
        for value in values:
            if len(value) > MAX_FIELD_BYTES:
                wrong_value(name[:60], f"expected at most {MAX_FIELD_BYTES:,} characters.")
            if "\ufffd" in value or "\x00" in value:
                wrong_value(name[:60], "expected text in UTF-8, without NUL.")
    return texts


def _files(uploads: list[Upload]) -> tuple[Upload, ...]:
    if len(uploads) > MAX_FILES:
        raise invalid(f"it has more than {MAX_FILES} files.")
    return tuple(uploads)
