"""Judge a `.mu` file: what it proves, and what is wrong with it.

Order of the checks: shape, mirror, digests, signature over the exact payload bytes,
and only then what the payload says; at last the log.
"""

import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from dunes.crypto.errors import BadSignature
from dunes.mu.dialects import read_dialect
from dunes.mu.dsse import INTOTO_TYPE, Envelope
from dunes.mu.errors import BadReceipt, Level, NotTheSame, Verifier
from dunes.mu.mirror import mirror
from dunes.mu.receipt import Parts, is_mu1, take_apart
from dunes.mu.statement import Statement, read_statement

State = Literal["pass", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a judgement.

    Attributes:
        name: mirror, digest, signature, statement, log, cosignature, …
        state: pass, fail, or skip where it could not be made.
        message: one sentence.
        code: a stable word where it failed.
    """

    name: str
    state: State
    message: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class LogEvidence:
    """What a log, or a proof from one, says about an envelope.

    Attributes:
        origin: the log's name.
        index: where the envelope stands in it; None if it does not.
        cosigners: who countersigned a checkpoint that covers it.
        message: one sentence.
    """

    origin: str
    index: int | None
    cosigners: tuple[str, ...] = ()
    message: str = ""


LookUp = Callable[[Envelope, Statement], LogEvidence | None]
Find = Callable[[str], Verifier | None]


@dataclass(slots=True)
class Verdict:
    """What a `.mu` file proves.

    Attributes:
        dialect: `mu/1`, or `D1` to `D6`.
        valid: nothing failed.
        level: the highest level reached.
        kind: the receipt's type, if it says.
        source_name: the source's file name, if it says.
        created_at: when it was made, if it says.
        kids: key ids whose signatures are good.
        unknown_kids: key ids that signed, but are not known here.
        log_index: index in the log, if it was found there.
        cosigners: who countersigned.
        lossless: the source can be given back.
        checks: each check with its outcome.
        source: the source's bytes, if they can be given back and match their digest.
    """

    dialect: str
    valid: bool = True
    level: Level = Level.NONE
    kind: str | None = None
    source_name: str | None = None
    created_at: str | None = None
    kids: tuple[str, ...] = ()
    unknown_kids: tuple[str, ...] = ()
    log_index: int | None = None
    cosigners: tuple[str, ...] = ()
    lossless: bool = False
    checks: list[Check] = field(default_factory=list)
    source: bytes | None = field(default=None, repr=False)

    @property
    def failure(self) -> Check | None:
        """The first check that failed."""
        return next((c for c in self.checks if c.state == "fail"), None)

    def passed(self, name: str, message: str) -> None:
        """Record a check that was passed."""
        self.checks.append(Check(name, "pass", message))

    def skipped(self, name: str, message: str) -> None:
        """Record a check that could not be made."""
        self.checks.append(Check(name, "skip", message))

    def failed(self, name: str, code: str, message: str) -> None:
        """Record a check that failed: the receipt is invalid."""
        self.checks.append(Check(name, "fail", message, code))
        self.valid = False
        self.level = Level.NONE


def judge(data: bytes, *, find: Find, look_up: LookUp | None = None) -> Verdict:
    """Judge a file.

    Args:
        data: the `.mu` file.
        find: gives the public key of a key id, None if it is not believed here.
        look_up: asks a log or a proof about an envelope; None: there is neither.

    Raises:
        BadReceipt: it is no `.mu` of any form.
    """
    if not is_mu1(data):
        return _judge_dialect(data)
    verdict = Verdict("mu/1", lossless=True)
    try:
        parts = take_apart(data)
    except BadReceipt as e:
        verdict.failed("form", e.code, e.message)
        return verdict
    front = parts.front
    verdict.kind, verdict.source_name = front["type"], front["source_maml"]
    verdict.created_at = front["created_at"]
    for step in (_check_offset, _check_mirror, _check_digests):
        step(verdict, parts)
        if not verdict.valid:
            return verdict
    statement = _check_envelope(verdict, parts, find)
    if statement is not None and verdict.level >= Level.SIGNED:
        _check_log(verdict, parts, statement, look_up)
    if not verdict.valid:
        verdict.source = None
    return verdict


def _judge_dialect(data: bytes) -> Verdict:
    reading = read_dialect(data)
    verdict = Verdict(reading.dialect, lossless=reading.lossless, kind=reading.kind)
    verdict.source_name = reading.source_name
    verdict.source = reading.source
    if reading.pairs_wrong:
        message = f"{reading.pairs_wrong} of {reading.pairs} mirrored values are wrong"
        verdict.failed("pairs", "wrong-mirror", message)
        return verdict
    if reading.pairs:
        verdict.passed("pairs", f"{reading.pairs} mirrored values are right")
    if reading.lossless:
        verdict.level = Level.MIRROR
        verdict.passed("mirror", "the whole mirror of a text; anyone could have made it")
    else:
        verdict.skipped("mirror", "this form loses text: it proves no equality with a source")
    verdict.skipped("digest", f"form {reading.dialect} carries no digest and no signature")
    return verdict


def _check_offset(verdict: Verdict, parts: Parts) -> None:
    if parts.offset != len(parts.document):
        message = f"the trailer says {parts.offset} bytes, there are {len(parts.document)}"
        verdict.failed("form", "wrong-offset", message)


def _check_mirror(verdict: Verdict, parts: Parts) -> None:
    try:
        text = parts.mirror.decode("utf-8")
    except UnicodeDecodeError as e:
        verdict.failed("mirror", "not-utf-8", f"the mirror is not UTF-8 (byte {e.start})")
        return
    verdict.source = mirror(text).encode("utf-8")
    verdict.level = Level.MIRROR
    verdict.passed("mirror", f"the mirror of a text of {len(verdict.source)} bytes")


def _check_digests(verdict: Verdict, parts: Parts) -> None:
    wanted = parts.front["verification"]
    if _sha256(parts.mirror) != wanted["mirror_sha256"]:
        verdict.failed("digest", *_why_changed(parts.mirror, wanted["mirror_sha256"]))
    elif _sha256(verdict.source or b"") != wanted["source_sha256"]:
        message = "the source that the mirror gives is not the one named in front"
        verdict.failed("digest", "source-digest", message)
    else:
        verdict.level = Level.DIGEST
        verdict.passed("digest", f"source {wanted['source_sha256'][:16]}… as named in front")
        return
    verdict.source = None


def _why_changed(body: bytes, wanted: str) -> tuple[str, str]:
    """Say what happened to a mirror on its way, if it can be told."""
    lf = body.replace(b"\r\n", b"\n")
    if lf != body and _sha256(lf) == wanted:
        return "line-ends-changed", "line ends were converted to CRLF on the way"
    text = body.decode("utf-8")
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, text)
        if other != text and _sha256(other.encode("utf-8")) == wanted:
            return "normalised", f"the text was normalised on the way; as {form} it is right"
    return "mirror-digest", "the mirror was changed: its digest is not the one in front"


def _check_envelope(verdict: Verdict, parts: Parts, find: Find) -> Statement | None:
    """Verify the signatures, then what the statement says."""
    envelope = parts.envelope
    if envelope.payload_type != INTOTO_TYPE:
        message = "the envelope is not one of an in-toto statement"
        verdict.failed("signature", "payload-type", message)
        return None
    try:
        verdict.kids = tuple(envelope.signers(find))
    except BadSignature as e:
        verdict.failed("signature", e.code, e.message)
        return None
    known = set(verdict.kids)
    verdict.unknown_kids = tuple(s.keyid for s in envelope.signatures if s.keyid not in known)
    try:
        statement = read_statement(envelope.payload)
    except BadReceipt as e:
        verdict.failed("statement", e.code, e.message)
        return None
    difference = _difference(parts, statement, len(verdict.source or b""))
    if difference is not None:
        verdict.failed(
            "statement", "statement-mismatch", f"the statement has another {difference}"
        )
        return None
    if verdict.kids:
        verdict.level = Level.SIGNED
        verdict.passed("signature", f"signed by key {', '.join(verdict.kids)}")
    elif envelope.signatures:
        verdict.skipped("signature", "signed by a key that is not known here")
    else:
        verdict.skipped("signature", "not signed")
    return statement


def _difference(parts: Parts, statement: Statement, source_length: int) -> str | None:
    """Name the first thing in which statement and file differ."""
    front = parts.front
    verification = front["verification"]
    pairs = {
        "document length": (statement.document_length, len(parts.document)),
        "document digest": (statement.document_sha256, _sha256(parts.document)),
        "source name": (statement.source_name, front["source_maml"]),
        "source digest": (statement.source_sha256, verification["source_sha256"]),
        "mirror length": (statement.mirror_length, source_length),
        "mirror digest": (statement.mirror_sha256, verification["mirror_sha256"]),
        "type": (statement.kind, front["type"]),
        "time": (statement.issued_at, front["created_at"]),
    }
    return next((name for name, (said, found) in pairs.items() if said != found), None)


def _check_log(
    verdict: Verdict, parts: Parts, statement: Statement, look_up: LookUp | None
) -> None:
    if look_up is None:
        index = statement.log_index
        no_log = f"no log here to ask about index {index}"
        verdict.skipped("log", "not logged" if index is None else no_log)
        return
    try:
        evidence = look_up(parts.envelope, statement)
    except NotTheSame as e:
        verdict.failed("log", e.code, e.message)
        return
    if evidence is None:
        other = "the log here is another one than the receipt's"
        verdict.skipped("log", "not logged" if statement.log_index is None else other)
    elif evidence.index is None:
        verdict.failed("log", "not-in-log", evidence.message or "the log does not hold it")
    else:
        verdict.level = Level.LOGGED
        verdict.log_index = evidence.index
        verdict.passed("log", f"entry {evidence.index} of log {evidence.origin}")
        if evidence.cosigners:
            verdict.level = Level.COSIGNED
            verdict.cosigners = evidence.cosigners
            verdict.passed("cosignature", f"countersigned by {', '.join(evidence.cosigners)}")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
