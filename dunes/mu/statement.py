"""What a receipt states: an in-toto Statement v1 about its source.

The statement binds the source's name and digest, the receipt's own bytes before the
trailer, the mirror, and the index that the envelope has in the log.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from dunes.maml.strict_json import JsonFault, read_json
from dunes.mu.errors import BadReceipt

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://example.org/dunes-mcp/mu-receipt/v1"
"""A name, not an address: nobody can own example.org (RFC 2606)."""
MIRROR_ALGORITHM = "codepoint/1"


@dataclass(frozen=True, slots=True)
class Statement:
    """A receipt's statement.

    Attributes:
        source_name: file name of the source.
        source_sha256: hex digest of its bytes.
        kind: receipt, validation, commands or shutdown_script.
        issued_at: RFC 3339 UTC.
        tool: who made it, e.g. `dunes-mcp/0.1.0`.
        document_length: bytes of the receipt before its trailer.
        document_sha256: hex digest of those bytes.
        mirror_length: bytes of the mirror.
        mirror_sha256: hex digest of the mirror.
        log_index: index in the log; None if it was not logged.
        log_origin: which log; None if the statement does not say.
        more: what else the predicate says (query of a table, decisions of a workflow).
    """

    source_name: str
    source_sha256: str
    kind: str
    issued_at: str
    tool: str
    document_length: int
    document_sha256: str
    mirror_length: int
    mirror_sha256: str
    log_index: int | None = None
    log_origin: str | None = None
    more: Mapping[str, Any] | None = None

    def encode(self) -> bytes:
        """Write it as compact JSON with sorted names, ASCII only."""
        predicate: dict[str, Any] = dict(self.more or {}) | {
            "kind": self.kind,
            "issuedAt": self.issued_at,
            "tool": self.tool,
            "document": {
                "length": self.document_length,
                "digest": {"sha256": self.document_sha256},
            },
            "mirror": {
                "algorithm": MIRROR_ALGORITHM,
                "length": self.mirror_length,
                "digest": {"sha256": self.mirror_sha256},
            },
        }
        if self.log_index is not None:
            predicate["log"] = {"index": self.log_index}
            if self.log_origin is not None:
                predicate["log"]["origin"] = self.log_origin
        statement = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.source_name, "digest": {"sha256": self.source_sha256}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        }
        return json.dumps(
            statement, sort_keys=True, separators=(",", ":"), allow_nan=False
        ).encode("ascii")


OWN_NAMES = frozenset({"kind", "issuedAt", "tool", "document", "mirror", "log"})


def read_statement(payload: bytes) -> Statement:
    """Read a statement, after its signature was verified.

    Raises:
        BadReceipt: another kind of statement, or a part is absent or of the wrong kind.
    """
    try:
        body = read_json(payload.decode("utf-8"))
    except (JsonFault, UnicodeDecodeError) as e:
        raise _bad("it is not JSON") from e
    if not isinstance(body, dict) or body.get("_type") != STATEMENT_TYPE:
        raise _bad("it is not an in-toto Statement v1")
    if body.get("predicateType") != PREDICATE_TYPE:
        raise _bad("it is a statement of another kind")
    try:
        [subject] = body["subject"]
        predicate = body["predicate"]
        document, mirror = predicate["document"], predicate["mirror"]
        log = predicate.get("log", {})
        if mirror["algorithm"] != MIRROR_ALGORITHM:
            raise _bad("it names another mirror")
        statement = Statement(
            _is(subject["name"], str),
            _is(subject["digest"]["sha256"], str),
            _is(predicate["kind"], str),
            _is(predicate["issuedAt"], str),
            _is(predicate["tool"], str),
            _is(document["length"], int),
            _is(document["digest"]["sha256"], str),
            _is(mirror["length"], int),
            _is(mirror["digest"]["sha256"], str),
            _is(log["index"], int) if log else None,
            _is(log["origin"], str) if "origin" in log else None,
            {name: predicate[name] for name in predicate if name not in OWN_NAMES} or None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise _bad("a part of it is absent or of the wrong kind") from e
    return statement


T = TypeVar("T")


def _is(value: Any, kind: type[T]) -> T:
    """Give a value back if it is of its kind; a truth value is no number."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError("wrong kind")
    return value


def _bad(why: str) -> BadReceipt:
    return BadReceipt(f"the signed statement is not a receipt's: {why}", code="bad-statement")
