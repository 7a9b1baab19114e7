"""Writes `multipart/form-data` for providers (RFC 7578); nothing of a client's own headers goes into it. Pure."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file to send; `name` and `content_type` must be ASCII without quotes and line ends, and are ours."""

    field: str
    name: str
    content_type: str
    data: bytes


def encode(fields: Iterable[tuple[str, str]], files: Iterable[FilePart]) -> tuple[str, bytes]:
    """Return the content type and the body; the boundary is random, so that no content can hold it."""
    boundary = "exerati-" + secrets.token_hex(16)
    line = f"--{boundary}\r\n"
    parts: list[bytes] = []
    for name, value in fields:
        head = f'{line}content-disposition: form-data; name="{name}"\r\n\r\n'
        parts += (head.encode(), value.encode(), b"\r\n")
    for part in files:
        head = (
            f'{line}content-disposition: form-data; name="{part.field}"; filename="{part.name}"\r\n'
            f"content-type: {part.content_type}\r\n\r\n"
        )
        parts += (head.encode("ascii"), part.data, b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)


def decode(content_type: str, body: bytes) -> tuple[list[tuple[str, str]], list[FilePart]]:
    """Return the fields and files of a form that `encode` wrote; of no other."""
    line = b"--" + content_type.rpartition("boundary=")[2].encode() + b"\r\n"
    fields: list[tuple[str, str]] = []
    files: list[FilePart] = []
    for part in body.rpartition(line[:-2] + b"--")[0].split(line)[1:]:
        head, _, data = part[:-2].partition(b"\r\n\r\n")
        named = head.decode().split('"')
        if len(named) > 3:
            files.append(FilePart(named[1], named[3], named[4].rpartition(": ")[2], data))
        else:
            fields.append((named[1], data.decode()))
    return fields, files
