"""What the ground station says in HTTP: an answer, or why not, as JSON. Pure.

Errors are JSON: `{"error": {"code": …, "message": …}}`, with `index` (400: which
record), `limit_bytes` (413), `size` (409 old-size), and the header Retry-After (429, 503).
"""

import json
from typing import Any, NamedTuple

from dunes.errors import DunesError, NotFound, StorageError, StorageFull
from dunes.mu.witness import OldSize
from dunes.uplink.errors import BadRecord, Conflict


class Answer(NamedTuple):
    """A response."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refusal(Exception):
    """A request that is not served; caught by the application itself."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        retry_s = more.pop("retry_s", None)
        self.close = more.pop("close", False)
        body = {"error": {"code": code, "message": message} | more}
        headers = [] if retry_s is None else [(b"retry-after", str(retry_s).encode())]
        if status == 401:  # noqa: PLR2004 - RFC 9110 wants the scheme named
            headers.append((b"www-authenticate", b'Bearer realm="dunes"'))
        self.answer = Answer(status, json.dumps(body).encode(), headers=tuple(headers))


def as_json(schema: str, **fields: Any) -> Answer:
    """Answer with a JSON object of a schema."""
    return Answer(200, json.dumps({"schema": schema} | fields).encode())


def refusal_of(error: DunesError) -> Refusal:
    """Say an error of ours in HTTP."""
    match error:
        case BadRecord():
            return Refusal(400, error.code, error.message, index=error.index)
        case Conflict():
            return Refusal(409, error.code, error.message, lane=error.lane, no=error.no)
        case OldSize():
            return Refusal(409, error.code, error.message, size=error.size)
        case StorageFull():
            return Refusal(507, error.code, error.message)
        case StorageError():
            return Refusal(503, error.code, "the store failed", retry_s=5)
    unknown = isinstance(error, NotFound)
    return Refusal(404 if unknown else 400, error.code, error.message)
