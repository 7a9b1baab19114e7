"""Files that are sent while they are made: CSV of any length in little memory."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from exerati.lib import csv_text

LINES = 500  # sent at once: a hop to a thread for each line would cost more than the line


def csv_response(
    request: HttpRequest, *, name: str, rows: Iterable[Sequence[str]]
) -> StreamingHttpResponse:
    """Return the rows as a CSV file, taken from their iterator while it is sent."""
    parts = _parts(csv_text.lines(rows))
    content = _in_thread(parts) if isinstance(request, ASGIRequest) else parts
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _parts(lines: Iterator[str]) -> Iterator[str]:
    while part := "".join(islice(lines, LINES)):
        yield part


async def _in_thread(parts: Iterator[str]) -> AsyncIterator[str]:
    """Yield what a sync iterator, which queries the database, yields."""
    take = sync_to_async(lambda: next(parts, ""))
    while part := await take():
        yield part
