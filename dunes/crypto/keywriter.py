"""Write key documents. Bytes, time and randomness come in as arguments."""

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from dunes.clock import US_PER_S, rfc3339
from dunes.crypto import names
from dunes.crypto.keyfile import PUBLIC_LABEL, KeyDocument, KeyPair, is_name
from dunes.crypto.pkcs8 import IV_BYTES, LABEL, Lock, pem
from dunes.crypto.signing import SigningKey
from dunes.errors import UsageError

US_PER_DAY = 86_400_000_000
ROTATE_AFTER_DAYS = 365
RANDOM_BYTES = 16 + 3 * IV_BYTES


@dataclass(frozen=True, slots=True)
class Description:
    """What a key document says of its key, besides the key.

    Attributes:
        role: gateway, ground-station, device or operator.
        requested: what was asked for, e.g. `dilithium3`.
        created_us: µs since 1970.
        entropy: the honest account of the randomness (`dunes.crypto.entropy`).
        version: 1 for the first key of a place, one more with each rotation.
        supersedes: kids of earlier keys, the latest first.
        status: `active` or `verify-only`.
        not_after_us: when it is no longer believed; None if open.
    """

    role: str
    requested: str
    created_us: int
    entropy: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    supersedes: Sequence[str] = ()
    status: str = "active"
    not_after_us: int | None = None

    @classmethod
    def of(cls, document: KeyDocument) -> Self:
        """Take it from a document, to write that one again."""
        return cls(
            role=document.role,
            requested=document.requested,
            created_us=document.created_us,
            entropy=document.entropy,
            version=document.version,
            supersedes=document.supersedes,
            status=document.status,
            not_after_us=document.not_after_us,
        )


def write_key_document(
    keys: KeyPair,
    about: Description,
    random: bytes,
    *,
    lock: Lock | None = None,
    lock_kind: str = "",
    endorse: SigningKey | None = None,
) -> bytes:
    """Write a key document: public, or private if there is a lock.

    Args:
        keys: the three keys.
        about: what to say of them.
        random: 64 fresh bytes, for the document's id and the IVs.
        lock: encrypts the private keys; None writes a public document.
        lock_kind: `passphrase` or `machine`.
        endorse: the key that this one supersedes; it signs too.
    """
    if not is_name(keys.name):
        raise UsageError(
            f"a key's owner is named by a-z 0-9 . _ -, not {keys.name[:80]!r}",
            hint="--name gateway-01",
        )
    text = "".join(
        (
            "---\n",
            *(f"{key}: {value}\n" for key, value in _front(keys, about, random, lock_kind)),
            "---\n",
            _prose(keys, about, private=lock is not None),
            *(f"```pem\n{block}```\n" for block in _blocks(keys, random, lock)),
        )
    )
    signed = text.encode("utf-8") + b"\n"
    signers = [keys.signing] + ([endorse] if endorse is not None else [])
    return sign_document(signed, signers)


def sign_document(signed: bytes, signers: Sequence[SigningKey]) -> bytes:
    """Add the signature section; `signed` ends with an empty line."""
    lines = "".join(
        f"{key.kid} {base64.b64encode(key.sign(signed, names.SIGN_KEY)).decode('ascii')}\n"
        for key in signers
    )
    return signed + f"## Signature\n```signature\n{lines}```\n".encode("ascii")


def _front(
    keys: KeyPair, about: Description, random: bytes, lock_kind: str
) -> list[tuple[str, str]]:
    """Give the front matter's keys and their YAML (JSON where it is not plain)."""
    document_id = uuid.UUID(bytes=random[:16], version=4)
    rows = [
        ("maml_version", '"1.0.0"'),
        ("id", f'"urn:uuid:{document_id}"'),
        ("type", "key"),
        ("origin", f'"agent://{keys.name}"'),
        ("permissions", '{read: ["agent://*"]}' if not lock_kind else "{read: []}"),
        ("created_at", f'"{_second(about.created_us)}"'),
        ("quantum_security_flag", "true"),
        ("kid", f'"{keys.kid}"'),
        ("alg", keys.signing.algorithm.name),
        ("visibility", "private" if lock_kind else "public"),
        ("status", about.status),
        ("rotate_after", f'"{_second(about.created_us + ROTATE_AFTER_DAYS * US_PER_DAY)}"'),
    ]
    if about.not_after_us is not None:
        rows.append(("not_after", f'"{_second(about.not_after_us)}"'))
    if about.supersedes:
        rows.append(("supersedes", json.dumps(list(about.supersedes))))
    rows += [
        ("x-version", str(about.version)),
        ("x-suite", f'"{names.SUITE}"'),
        ("x-role", about.role),
    ]
    if lock_kind:
        rows.append(("x-lock", lock_kind))
    if about.entropy:
        rows.append(("x-entropy", json.dumps(about.entropy)))
    return rows


def _second(ts_us: int) -> str:
    """Write a time to the whole second below."""
    return rfc3339(ts_us // US_PER_S * US_PER_S)


def _prose(keys: KeyPair, about: Description, *, private: bool) -> str:
    """Say in words what the document is for."""
    intent = (
        f"Sign as {keys.name}, and open what is sealed to it. Keep this file to yourself."
        if private
        else f"Let others check what {keys.name} signs, and seal to it."
    )
    return (
        f"## Intent\n{intent}\n\n"
        f"## Context\nrequested: {about.requested}\n"
        f"provided: {keys.signing.algorithm.name} (FIPS 204), ML-KEM-768 (FIPS 203), X25519\n\n"
        "## Content\n"
    )


def _blocks(keys: KeyPair, random: bytes, lock: Lock | None) -> list[str]:
    """Write the PEM blocks: three public keys, then three private ones under a lock."""
    blocks = [keys.signing.public.pem]
    blocks += [pem(der, PUBLIC_LABEL) for der in keys.recipient.public.spki_ders]
    if lock is not None:
        ivs = [random[16 + i * IV_BYTES : 16 + (i + 1) * IV_BYTES] for i in range(3)]
        clear = (keys.signing.pkcs8_der(), *keys.recipient.pkcs8_ders())
        blocks += [pem(lock.lock(der, iv), LABEL) for der, iv in zip(clear, ivs, strict=True)]
    return blocks
