"""PEM blocks inside documents, without a cryptographic library.

Enough to compare a key document's `kid` and `alg` with the key it carries, and to
notice a private key where none may be.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s]{0,20000})-----END \1-----")
PRIVATE_LABEL = re.compile(r"-----BEGIN ([A-Z0-9 ]{0,30}PRIVATE KEY)-----")
CLEAR_PRIVATE = frozenset(
    {"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "OPENSSH PRIVATE KEY"}
)
MLDSA_OIDS = {
    bytes.fromhex("0609608648016503040311"): "ML-DSA-44",
    bytes.fromhex("0609608648016503040312"): "ML-DSA-65",
    bytes.fromhex("0609608648016503040313"): "ML-DSA-87",
}
"""OBJECT IDENTIFIER in DER; FIPS 204 algorithms in the NIST registry."""
OID_WITHIN_BYTES = 32


@dataclass(frozen=True, slots=True)
class PemBlock:
    """One block.

    Attributes:
        label: e.g. `PUBLIC KEY`.
        der: its content; None if it is not base64.
        index: place in the text.
    """

    label: str
    der: bytes | None
    index: int

    @property
    def kid(self) -> str | None:
        """The key id of a public key: 32 hex digits of SHA-256 over the DER SPKI."""
        return hashlib.sha256(self.der).hexdigest()[:32] if self.der else None

    @property
    def algorithm(self) -> str | None:
        """The ML-DSA parameter set of a public key, if it is one."""
        head = (self.der or b"")[:OID_WITHIN_BYTES]
        return next((name for oid, name in MLDSA_OIDS.items() if oid in head), None)


def pem_blocks(text: str) -> Iterator[PemBlock]:
    """Find the PEM blocks of a text."""
    for found in BLOCK.finditer(text):
        try:
            der = base64.b64decode("".join(found[2].split()), validate=True)
        except binascii.Error:
            der = None
        yield PemBlock(found[1], der or None, found.start())
