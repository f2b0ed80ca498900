"""The form mu/1: front matter, the exact mirror of the source, one trailer line.

::

    ---
    mu_version: "1.0"
    id: "urn:uuid:…"
    type: receipt
    source_maml: "lunar-config.maml"
    verification:
      method: reverse_check
      mirror: codepoint/1
      source_sha256: "…"
      mirror_sha256: "…"
    created_at: "2026-01-05T08:00:07Z"
    ---
    <mirror of the source, from here to byte N>
    <!-- mu:{"offset":N,"dsse":{…}} -->

N counts the bytes before the newline that begins the trailer. The trailer is sought
from the end, as a source may hold the marker; base64 cannot hold `-->`.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from dunes.errors import DataError, Denied
from dunes.maml.findings import quoted
from dunes.maml.pem import PRIVATE_LABEL
from dunes.maml.yaml_tree import read_yaml
from dunes.mu.dsse import INTOTO_TYPE, Envelope, read_envelope, seal
from dunes.mu.errors import BadReceipt, Signer
from dunes.mu.mirror import mirror
from dunes.mu.statement import MIRROR_ALGORITHM, Statement

KINDS = ("receipt", "validation", "commands", "shutdown_script")
SOURCE_MAX_BYTES = 64 * 1024 * 1024
HEAD_MAX_BYTES = 8192
NAME_MAX = 255
HEAD_OPEN = b"---\n"
HEAD_CLOSE = b"\n---\n"
TRAILER_OPEN = b"\n<!-- mu:"
TRAILER = re.compile(rb'\n<!-- mu:\{"offset":(0|[1-9][0-9]{0,11}),"dsse":(\{.*\})\} -->\n')
HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
FRONT_KEYS = ("mu_version", "id", "type", "source_maml", "verification", "created_at")
VERIFICATION_KEYS = ("method", "mirror", "source_sha256", "mirror_sha256")


@dataclass(frozen=True, slots=True)
class Draft:
    """A receipt without its trailer.

    Attributes:
        document: front matter and mirror, bytes 0 to N.
        statement: what is to be signed, as far as it is known.
    """

    document: bytes
    statement: Statement


def draft(
    source: bytes,
    *,
    name: str,
    at: datetime,
    uuid: UUID,
    tool: str,
    kind: str = "receipt",
    more: Mapping[str, Any] | None = None,
) -> Draft:
    """Make a receipt of a source, up to its trailer.

    Args:
        source: UTF-8 text, at most 64 MiB.
        name: the source's file name, without a folder.
        at: when; aware.
        uuid: the receipt's own.
        tool: who makes it, e.g. `dunes-mcp/0.1.0`.
        kind: one of `KINDS`.
        more: what else to state, names other than `statement.OWN_NAMES`.

    Raises:
        DataError: the source is not UTF-8 or too long, or the name cannot be written.
        Denied: the source holds a private key; a receipt would carry it along.
    """
    if kind not in KINDS:
        raise DataError(f"{kind[:40]!r} is no kind of receipt", hint=f"one of {', '.join(KINDS)}")
    shown = _checked_name(name)
    body = mirror(_checked_text(source)).encode("utf-8")
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    source_sha256 = hashlib.sha256(source).hexdigest()
    mirror_sha256 = hashlib.sha256(body).hexdigest()
    head = f"""---
mu_version: "1.0"
id: "urn:uuid:{uuid}"
type: {kind}
source_maml: {shown}
verification:
  method: reverse_check
  mirror: {MIRROR_ALGORITHM}
  source_sha256: "{source_sha256}"
  mirror_sha256: "{mirror_sha256}"
created_at: "{stamp}"
---
"""
    document = head.encode("utf-8") + body
    statement = Statement(
        name,
        source_sha256,
        kind,
        stamp,
        tool,
        len(document),
        hashlib.sha256(document).hexdigest(),
        len(body),
        mirror_sha256,
        more=more,
    )
    return Draft(document, statement)


def sealed(
    made: Draft,
    signer: Signer | None,
    *,
    log_index: int | None = None,
    log_origin: str | None = None,
) -> tuple[bytes, bytes]:
    """Sign a draft and give (the file, the envelope that goes into the log).

    Args:
        made: from `draft`.
        signer: None leaves the receipt unsigned.
        log_index: the index that the envelope will have in the log.
        log_origin: the name of that log.
    """
    statement = replace(made.statement, log_index=log_index, log_origin=log_origin)
    envelope = seal(statement.encode(), INTOTO_TYPE, signer)
    head = b'{"offset":%d,"dsse":' % len(made.document)
    return made.document + TRAILER_OPEN + head + envelope + b"} -->\n", envelope


@dataclass(frozen=True, slots=True)
class Parts:
    """A mu/1 file taken apart; nothing is verified yet.

    Attributes:
        document: bytes 0 to N.
        front: the front matter's values.
        mirror: the mirror's bytes.
        offset: N as the trailer has it.
        envelope: the DSSE envelope.
    """

    document: bytes
    front: Mapping[str, Any]
    mirror: bytes
    offset: int
    envelope: Envelope


def is_mu1(data: bytes) -> bool:
    """Tell whether a file carries the trailer of mu/1."""
    return data.rfind(TRAILER_OPEN) >= 0


def take_apart(data: bytes) -> Parts:
    """Take a mu/1 file apart.

    Raises:
        BadReceipt: no trailer at its end, bytes after it, a front matter that is not
            that of mu/1.
    """
    at = data.rfind(TRAILER_OPEN)
    if at < 0:
        raise BadReceipt("there is no mu/1 trailer", code="no-trailer")
    found = TRAILER.fullmatch(data, at)
    if found is None:
        raise _bad_trailer(data, at)
    document = data[:at]
    end = document.find(HEAD_CLOSE, 0, HEAD_MAX_BYTES)
    if not document.startswith(HEAD_OPEN) or end < 0:
        raise BadReceipt("there is no mu/1 front matter", code="bad-front-matter")
    front = _read_front(document[len(HEAD_OPEN) : end + 1])
    body = document[end + len(HEAD_CLOSE) :]
    return Parts(document, front, body, int(found[1]), read_envelope(found[2]))


def _bad_trailer(data: bytes, at: int) -> BadReceipt:
    """Say what is wrong with a trailer."""
    rest = data[at + 1 :]
    if b"\r" in rest:
        return BadReceipt("line ends were converted to CRLF", code="line-ends-changed")
    line, newline, after = rest.partition(b"\n")
    if not newline or not line.endswith(b" -->"):
        return BadReceipt("the file is cut: its trailer has no end", code="cut")
    if after:
        return BadReceipt(f"{len(after)} bytes follow the trailer", code="bytes-after-trailer")
    return BadReceipt("the trailer is not that of mu/1", code="bad-trailer")


def _read_front(raw: bytes) -> Mapping[str, Any]:
    try:
        tree = read_yaml(raw.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise BadReceipt("the front matter is not UTF-8", code="bad-front-matter") from e
    if tree.faults:
        raise BadReceipt(f"front matter: {tree.faults[0].message}", code="bad-front-matter")
    front = tree.value
    if not isinstance(front, dict) or tuple(front) != FRONT_KEYS:
        raise BadReceipt(
            f"the front matter's keys are not {', '.join(FRONT_KEYS)}", code="bad-front-matter"
        )
    verification = front["verification"]
    good = (
        front["mu_version"] == "1.0"
        and front["type"] in KINDS
        and all(isinstance(front[k], str) for k in FRONT_KEYS if k != "verification")
        and isinstance(verification, dict)
        and tuple(verification) == VERIFICATION_KEYS
        and verification["method"] == "reverse_check"
        and verification["mirror"] == MIRROR_ALGORITHM
        and _is_digest(verification["source_sha256"])
        and _is_digest(verification["mirror_sha256"])
    )
    if not good:
        raise BadReceipt("a value of the front matter is not mu/1's", code="bad-front-matter")
    return front


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and HEX_DIGEST.fullmatch(value) is not None


def _checked_name(name: str) -> str:
    """Quote a file name for YAML, or refuse it."""
    good = (
        0 < len(name) <= NAME_MAX
        and name.isprintable()
        and "/" not in name
        and name not in {".", ".."}
    )
    if not good:
        raise DataError(f"{quoted(name)} is not the name of a file", code="bad-name")
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _checked_text(source: bytes) -> str:
    if len(source) > SOURCE_MAX_BYTES:
        raise DataError(
            f"a source of {len(source)} bytes; at most {SOURCE_MAX_BYTES} are mirrored",
            code="too-large",
        )
    try:
        text = source.decode("utf-8")
    except UnicodeDecodeError as e:
        raise DataError(
            f"the source is not UTF-8 (byte {e.start})",
            hint="a mirror is made of text; convert the file to UTF-8 first",
            code="not-utf-8",
        ) from e
    if PRIVATE_LABEL.search(text) is not None:
        raise Denied(
            "the source holds a private key, and a receipt holds its whole source",
            hint="make the receipt of the public document (….pub.maml)",
            code="private-key",
        )
    return text
