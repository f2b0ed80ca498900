"""Key documents: MAML documents of type key, signed by the key they carry.

A public document (`NAME.pub.maml`) holds three public keys, each a fenced PEM block
under `## Content`: ML-DSA-65, ML-KEM-768, X25519. A private one (`NAME.maml`) adds the
three private keys, encrypted as `dunes.crypto.pkcs8` says, in the same order. The last
section is the signature::

    ## Signature
    ```signature
    <kid> <base64 of ML-DSA-65, context "dunes/2048-aes/v1/key", over all bytes above>
    ```

"All bytes above" are those before the line `## Signature`. The first line is by the
document's own key; a second one, after a rotation, by the key it supersedes. So nobody
can put other recipient keys under a kid, and a new key proves where it came from.

A document of others that is not signed is still read; then only its signing key is
used, which its kid binds.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dunes.clock import to_us
from dunes.crypto import names
from dunes.crypto.errors import BadKeyFile, BadSignature, KeyRefused
from dunes.crypto.pkcs8 import LABEL, Cost, Lock, unlock
from dunes.crypto.signing import ALGORITHMS, SigningKey, VerifyKey, is_kid
from dunes.crypto.xwing import Recipient, RecipientKey
from dunes.maml import Document, MamlError, Severity, parse, validate
from dunes.maml.pem import CLEAR_PRIVATE, PRIVATE_LABEL, pem_blocks

SIGNATURE_HEADING = b"\n## Signature\n"
SIGNATURES_MAX = 4
_SIGNATURES = re.compile(
    rb"## Signature\n```signature\n((?:[0-9a-f]{32} [A-Za-z0-9+/]{1,8000}={0,2}\n){1,4})```\n"
)
_REQUESTED = re.compile(r"^requested: ([\x20-\x7e]+)$", re.MULTILINE)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
PUBLIC_LABEL = "PUBLIC KEY"
BLOCKS = 3
VERSION_DIGITS = 10
Locks = dict[tuple[bytes, Cost], Lock]


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The private keys of one document, opened."""

    name: str
    signing: SigningKey
    recipient: RecipientKey

    @property
    def kid(self) -> str:
        """The key id: 32 hex digits."""
        return self.signing.kid


@dataclass(frozen=True, slots=True)
class KeyDocument:
    """A key document, read and compared with itself.

    Attributes:
        data: its bytes.
        kid: of the ML-DSA key.
        name: from `origin`: agent://NAME.
        requested: what was asked for when it was made, e.g. `dilithium3`.
        algorithm: `ML-DSA-65`, or another for documents of others.
        private: it holds private keys.
        status: `active` or `verify-only`.
        role: gateway, ground-station, device, operator; empty if it does not say.
        version: higher with each rotation; 0 if it does not say.
        created_at: as written.
        created_us: the same as a number.
        rotate_after: as written.
        not_after: as written; empty if none.
        not_after_us: the same as a number; None if none.
        supersedes: kids of earlier keys.
        lock: `passphrase` or `machine`; empty for public ones.
        entropy: where the randomness came from, as written at key generation.
        signed_by: kids whose signatures stand in it; its own first, checked.
        verify_key: the public signing key.
        recipient: whom to seal to; None if the document is not signed or has no such keys.
        locked: the encrypted private keys, DER.
    """

    data: bytes
    kid: str
    name: str
    requested: str
    algorithm: str
    private: bool
    status: str
    role: str
    version: int
    created_at: str
    created_us: int
    rotate_after: str
    not_after: str
    not_after_us: int | None
    supersedes: tuple[str, ...]
    lock: str
    entropy: Mapping[str, Any]
    signed_by: tuple[str, ...]
    verify_key: VerifyKey
    recipient: Recipient | None
    locked: tuple[bytes, ...]

    @property
    def self_signed(self) -> bool:
        """Whether its own key signed it (checked when it was read)."""
        return self.kid in self.signed_by

    def unlock(self, secret: bytes, locks: Locks | None = None) -> KeyPair:
        """Open the private keys and compare each with its public half.

        Args:
            secret: the passphrase, or the machine's secret.
            locks: what this secret was derived to so far, for several documents.

        Raises:
            WrongPassphrase: it does not open them.
            KeyRefused: no private keys, or a cost beyond the limits.
            BadKeyFile: private and public keys do not belong together.
        """
        if not self.private:
            raise KeyRefused(f"the key document of {self.kid} has no private keys")
        opened = unlock(self.locked, secret, locks)
        mldsa_key, mlkem_key, x25519_key = opened
        try:
            signing = SigningKey(mldsa_key)  # type: ignore[arg-type]  # judged by the next lines
            recipient = RecipientKey(self.kid, mlkem_key, x25519_key)  # type: ignore[arg-type]  # the same
        except (StopIteration, AttributeError, TypeError) as e:
            raise BadKeyFile("the private keys are not ML-DSA, ML-KEM-768 and X25519") from e
        if signing.public != self.verify_key or recipient.public != self.recipient:
            raise BadKeyFile(f"the private keys do not belong to the public keys of {self.kid}")
        return KeyPair(self.name, signing, recipient)

    def endorsed_by(self, key: VerifyKey) -> bool:
        """Tell whether another key signed this document, as a rotation's old key does."""
        try:
            signed, signatures = split_signatures(self.data)
            key.verify(dict(signatures)[key.kid], signed, names.SIGN_KEY)
        except (KeyError, BadSignature):
            return False
        return True


def is_name(text: str) -> bool:
    """Tell whether something names a key's owner: a-z 0-9 . _ - up to 63."""
    return _NAME.fullmatch(text) is not None


def split_signatures(data: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Give the signed bytes, and (kid, signature) of each line; none if there is no section.

    Raises:
        BadKeyFile: a section `## Signature` of another form.
    """
    at = data.rfind(SIGNATURE_HEADING)
    if at < 0:
        return data, []
    found = _SIGNATURES.fullmatch(data, at + 1)
    lines = [line.split(b" ") for line in found[1].splitlines()] if found else []
    try:
        pairs = [
            (kid.decode("ascii"), base64.b64decode(text, validate=True)) for kid, text in lines
        ]
    except binascii.Error:
        pairs = []
    if not pairs:
        raise BadKeyFile(
            "the key document's signature section is damaged (were its line ends converted?)"
        )
    if len({kid for kid, _ in pairs}) != len(pairs):
        raise BadKeyFile("the key document is signed twice by one key")
    return data[: at + 1], pairs


def read_key_document(data: bytes) -> KeyDocument:
    """Read a key document and check it against itself.

    Raises:
        BadKeyFile: unreadable, or it contradicts itself.
        BadSignature: signed by its own key, and changed since.
        KeyRefused: a private key in clear.
    """
    try:
        document = parse(data).require_sound()
    except MamlError as e:
        raise BadKeyFile(f"not a readable key document: {e.message}", hint=e.hint) from e
    for label in PRIVATE_LABEL.finditer(document.text):
        if label[1] in CLEAR_PRIVATE:
            raise KeyRefused(
                "the document holds a private key in clear",
                hint="make a new key with: dunes keygen",
            )
    if document.profile != "key":
        raise BadKeyFile("this is not a MAML document of type key")
    front = document.front or {}
    blocks = [block for fence in document.fences for block in pem_blocks(fence.text)]
    public = [block.der for block in blocks if block.label == PUBLIC_LABEL]
    locked = [block.der for block in blocks if block.label == LABEL]
    if not public or any(der is None for der in (*public, *locked)):
        raise BadKeyFile("the key document holds no readable PEM block PUBLIC KEY")
    key = VerifyKey.from_spki(public[0] or b"", allow=frozenset(ALGORITHMS))
    signed_by = _check_signatures(data, key)
    if not signed_by and (document.section("signature") or "x-suite" in front):
        raise BadKeyFile(
            "the key document's signature is not readable (were its line ends converted?)"
        )
    _check_front(document, key)
    private = front.get("visibility") == "private"
    if private and (key.kid not in signed_by or len(locked) != BLOCKS):
        raise BadKeyFile("a private key document is signed by its key and holds three keys")
    recipient, entropy = None, front.get("x-entropy")
    if key.kid in signed_by and len(public) == BLOCKS:
        recipient = Recipient.from_spki(key.kid, public[1] or b"", public[2] or b"")
    if private and recipient is None:
        raise BadKeyFile("a private key document holds ML-DSA, ML-KEM-768 and X25519 keys")
    return KeyDocument(
        data=data,
        kid=key.kid,
        name=str(front.get("origin", "")).removeprefix("agent://")[:63],
        requested=found[1][:80] if (found := _REQUESTED.search(document.text)) else "",
        algorithm=key.algorithm.name,
        private=private,
        status=str(front.get("status", "active")),
        role=str(front.get("x-role", ""))[:32],
        version=_number(front.get("x-version", 0)),
        created_at=str(front.get("created_at", ""))[:40],
        created_us=_moment(front.get("created_at")) or 0,
        rotate_after=str(front.get("rotate_after", ""))[:40],
        not_after=str(front.get("not_after", ""))[:40],
        not_after_us=_moment(front.get("not_after")),
        supersedes=tuple(str(kid) for kid in _list(front.get("supersedes")) if is_kid(kid)),
        lock=str(front.get("x-lock", ""))[:16] if private else "",
        entropy=entropy if isinstance(entropy, dict) else {},
        signed_by=signed_by,
        verify_key=key,
        recipient=recipient,
        locked=tuple(der for der in locked if der is not None) if private else (),
    )


def _check_signatures(data: bytes, key: VerifyKey) -> tuple[str, ...]:
    """Check the document's own signature, if it has a signature section."""
    signed, signatures = split_signatures(data)
    if not signatures:
        return ()
    if signatures[0][0] != key.kid:
        raise BadKeyFile("the first signature of a key document is by its own key")
    try:
        key.verify(signatures[0][1], signed, names.SIGN_KEY)
    except BadSignature as e:
        raise BadSignature(f"the key document of {key.kid} was changed since it was made") from e
    return tuple(kid for kid, _ in signatures)


def _check_front(document: Document, key: VerifyKey) -> None:
    """Compare front matter and key."""
    for finding in validate(document):
        if finding.severity is Severity.ERROR:
            raise BadKeyFile(f"not a valid key document: {finding}")
    front = document.front or {}
    if front.get("kid") != key.kid:
        raise BadKeyFile(f"the document says kid {front.get('kid')}, its key has {key.kid}")
    if front.get("alg") != key.algorithm.name:
        raise BadKeyFile(f"the document says alg {front.get('alg')}, its key is another")


def _number(value: object) -> int:
    """Read x-version; the reader of documents gives versions as they are written."""
    text = str(value)
    return int(text) if len(text) < VERSION_DIGITS and text.isascii() and text.isdigit() else 0


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _moment(value: object) -> int | None:
    """Turn an ISO 8601 time of the front matter into µs since 1970."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError as e:
        raise BadKeyFile("the document's times are not ISO 8601") from e
    return to_us(at if at.tzinfo else at.replace(tzinfo=UTC))
