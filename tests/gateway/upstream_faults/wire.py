"""HTTP/1.1 as a provider writes it, with what must never be shown to a customer in every header."""

from tests.gateway.upstream_faults.cells import Cell
from tests.gateway.upstream_faults.stand_in import Link

CANARY = "canary"
SECRET_HEADERS = (
    "set-cookie: session=canary-cookie",
    "openai-organization: org-CANARY1234567",
    "anthropic-organization-id: 11111111-aaaa-bbbb-cccc-canary000000",
    "x-request-id: req_CANARY1234567",
    "server: canary-edge",
    "location: https://canary.internal.example/next",
    "content-security-policy: default-src canary",
)
SECRET_TEXT = (
    "Refused for org-CANARY1234567 (key sk-canary-OURS-1234567890, account acct_CANARY1234567, "
    "mail canary@internal.example) at https://canary.internal.example/v1."
)
REASONS = {200: "OK"}


def head(status: int, *lines: str, reason: str = "") -> bytes:
    """Return a status line and headers."""
    first = f"HTTP/1.1 {status} {reason or REASONS.get(status, 'Other')}"
    return "\r\n".join((first, *SECRET_HEADERS, *lines, "", "")).encode()


def sized(
    status: int,
    body: bytes,
    *lines: str,
    content_type: str = "application/json",
    size: int | None = None,
) -> bytes:
    """Return an answer with a content-length, by default the right one."""
    length = f"content-length: {len(body) if size is None else size}"
    return head(status, f"content-type: {content_type}", length, *lines) + body


def chunk(data: bytes) -> bytes:
    """Return one chunk of the chunked coding."""
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


LAST_CHUNK = b"0\r\n\r\n"


def content_type(cell: Cell) -> str:
    """Return the type of the answer that a cell's call expects."""
    return cell.dialect.event_type if cell.stream else "application/json"


def chunked(cell: Cell, *lines: str) -> bytes:
    """Return the head of a good answer in the chunked coding."""
    return head(200, f"content-type: {content_type(cell)}", "transfer-encoding: chunked", *lines)


async def begin(cell: Cell, link: Link) -> None:
    """Send a good answer up to the cell's moment, and wait until what it says has come through to the customer."""
    if cell.moment == "headers":
        return
    await link.send(chunked(cell) + chunk(cell.before))
    if cell.stream and cell.moment != "start":
        await link.until_delivered()
    else:
        await link.arrive()


async def answer(cell: Cell, link: Link) -> bool:
    """Send a good answer."""
    dialect = cell.dialect
    body = dialect.stream if cell.stream else dialect.whole_body
    await link.send(chunked(cell) + chunk(body) + LAST_CHUNK)
    return True
