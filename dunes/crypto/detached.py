"""Signatures beside a file: `FILE.sig`, a JSON object of one line.

::

    {"schema":"dunes.signature/1","kid":…,"alg":"ML-DSA-65",
     "context":"dunes/2048-aes/v1/detached","signature":base64}

The signature is plain ML-DSA over the file's bytes in that context, so any FIPS 204
implementation checks it (OpenSSL 3.5: `pkeyutl -verify -rawin -pkeyopt
context-string:…`). Files of any size: the bytes are hashed to `mu` as they pass.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric import mldsa

from dunes.crypto import container, names
from dunes.crypto.errors import BadContainer, SuiteRefused
from dunes.crypto.signing import ALGORITHMS, SigningKey, VerifyKey, is_kid

SCHEMA = "dunes.signature/1"
FILE_MAX_BYTES = 16 * 1024
READ_BYTES = 1 << 20
_KEYS = frozenset({"schema", "kid", "alg", "context", "signature"})


@dataclass(frozen=True, slots=True)
class Signature:
    """A detached signature, read but not yet checked."""

    kid: str
    algorithm: str
    signature: bytes


def sign_stream(
    source: BinaryIO, key: SigningKey, progress: Callable[[int], None] | None = None
) -> bytes:
    """Sign everything that `source` gives; returns the content of `FILE.sig`."""
    signature = key.sign_mu(hash_stream(source, key.public, progress))
    body = {
        "schema": SCHEMA,
        "kid": key.kid,
        "alg": key.algorithm.name,
        "context": names.SIGN_DETACHED.decode("ascii"),
        "signature": base64.b64encode(signature).decode("ascii"),
    }
    return json.dumps(body, separators=(",", ":")).encode("ascii") + b"\n"


def hash_stream(
    source: BinaryIO, key: VerifyKey, progress: Callable[[int], None] | None = None
) -> bytes:
    """Hash a file to the 64 bytes of `mu` that the key signs (FIPS 204, external mu)."""
    hasher = mldsa.MLDSAMuHasher(key.crypto_key, names.SIGN_DETACHED)
    done = 0
    while True:
        part = source.read(READ_BYTES)
        if not part:
            return hasher.finalize()
        hasher.update(part)
        done += len(part)
        if progress is not None:
            progress(done)


def read_signature(data: bytes) -> Signature:
    """Read the content of a `FILE.sig`.

    Raises:
        BadContainer: it is not one.
        SuiteRefused: another kind of signature.
    """
    try:
        body: Mapping[str, Any] = json.loads(data[:FILE_MAX_BYTES])
        if body["schema"] != SCHEMA or body["context"] != names.SIGN_DETACHED.decode("ascii"):
            raise SuiteRefused("a signature of another kind than dunes.signature/1")
        signature = base64.b64decode(body["signature"], validate=True)
        kid, algorithm = body["kid"], ALGORITHMS[body["alg"]]
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error) as e:
        raise BadContainer("this is not a detached signature of dunes sign") from e
    if not is_kid(kid) or body.keys() != _KEYS or len(signature) != algorithm.signature_bytes:
        raise BadContainer("this is not a detached signature of dunes sign")
    return Signature(kid, algorithm.name, signature)


def verify_stream(
    source: BinaryIO,
    signature: Signature,
    senders: Mapping[str, VerifyKey],
    progress: Callable[[int], None] | None = None,
) -> VerifyKey:
    """Check a file against its signature; gives who signed.

    Raises:
        Untrusted: nobody whom the caller believes.
        BadSignature: the file, the signature or the key is another.
    """
    key = container.find_sender(signature.kid, senders)
    key.verify_mu(signature.signature, hash_stream(source, key, progress))
    return key
