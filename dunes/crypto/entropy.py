"""Seeds that are never weaker than the operating system's, whatever else is mixed in.

A quantum source (or any other) is asked first; only then are 64 bytes drawn from the
operating system, so that no source can answer with a choice that depends on them::

    PRK  = HMAC-SHA512(key = 64 bytes of the OS, u64 len(q) ‖ q ‖ u64 len(meta) ‖ meta)
    seed = HKDF-Expand(SHA-512, PRK, "dunes/entropy/v1/" + label, size)

HMAC under 512 secret bits is a pseudo-random function of whatever follows: a dead,
hostile or repeated source gives seeds as good as the OS alone, never worse (plain XOR
with a source that sees the other part is worse). What a source is worth is said
honestly: nothing, until a validated source says otherwise; a remote operator knows
what he sent, and a simulator is a pseudo-random generator.

The health tests are those of NIST SP 800-90B, 4.4, at one bit per sample and a false
alarm of 2^-30: they find breakage, not predictability. Pure; sources are in
`dunes.crypto.sources`.
"""

import hmac
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from dunes.crypto.errors import EntropyFailed
from dunes.errors import LocalError, UsageError

OS_BYTES = 64
BITS_MIN, BITS_MAX = 256, 65536
STARTUP_BITS = 1024
"""Drawn and thrown away before any bit is used (SP 800-90B, 4.3)."""
RCT_CUTOFF = 31
"""Repetition count: 1 + 30 equal bits; 2^-30 at one bit of entropy each."""
APT_WINDOW, APT_CUTOFF = 1024, 609
"""Adaptive proportion: so many of 1024 bits equal to the first; 2^-30."""
LABEL = b"dunes/entropy/v1/"


@dataclass(frozen=True, slots=True)
class Draw:
    """What a source gave.

    Attributes:
        data: the bytes asked for.
        source: its name, e.g. `simulator:statevector`; empty for the operating system.
        quantum: it measures something quantum, by its maker's word.
        statement: one honest sentence for people.
        meta: public circumstances, mixed in as well.
    """

    data: bytes
    source: str
    quantum: bool
    statement: str
    meta: bytes = b""


@dataclass(frozen=True, slots=True)
class Account:
    """Where the randomness of a key came from, as its document tells.

    Attributes:
        os_bits: drawn from the operating system; all the strength that is credited.
        source: the other source; empty if none.
        source_bits: drawn from it.
        quantum: it measures something quantum, by its maker's word.
        credited_bits: of it: always 0, as none is validated here.
        statement: the honest line.
    """

    os_bits: int
    source: str = ""
    source_bits: int = 0
    quantum: bool = False
    credited_bits: int = 0
    statement: str = ""

    def as_document(self) -> dict[str, Any]:
        """Give it as the key document's `x-entropy`."""
        found: dict[str, Any] = {"os": self.os_bits}
        if self.source:
            found["quantum" if self.quantum or "simulator" in self.source else "other"] = {
                "source": self.source,
                "bits": self.source_bits,
                "quantum": self.quantum,
                "credited_bits": self.credited_bits,
            }
        return found


@dataclass(frozen=True, slots=True)
class Seeds:
    """The root from which a key's seeds are expanded. Its repr hides it."""

    account: Account
    _prk: bytes = field(repr=False)

    def expand(self, label: str, size: int) -> bytes:
        """Derive the seed of one key; the label is the key's algorithm."""
        return HKDFExpand(hashes.SHA512(), size, info=LABEL + label.encode("ascii")).derive(
            self._prk
        )


def check_bits(bits: int) -> int:
    """Give the number of bits back if it can be drawn.

    Raises:
        UsageError: below 256, above 65536, or not whole bytes.
    """
    if not BITS_MIN <= bits <= BITS_MAX or bits % 8:
        raise UsageError(
            f"--bits {bits}: from {BITS_MIN} to {BITS_MAX}, a multiple of 8", hint="--bits 512"
        )
    return bits


def mix(draw: Draw | None, os_random: bytes) -> Seeds:
    """Mix a source's bytes with the operating system's.

    Args:
        draw: what the source gave; None if there is none.
        os_random: 64 bytes of `os.urandom`, drawn *after* the source answered.
    """
    if len(os_random) != OS_BYTES:
        raise LocalError(f"mixing needs {OS_BYTES} bytes of the operating system")
    data, meta = (draw.data, draw.meta) if draw else (b"", b"")
    text = struct.pack(">Q", len(data)) + data + struct.pack(">Q", len(meta)) + meta
    prk = hmac.digest(os_random, text, "sha512")
    if draw is None or not draw.source:
        bits = 8 * (OS_BYTES + len(data))
        return Seeds(Account(bits, statement=OS_STATEMENT), prk)
    account = Account(
        os_bits=8 * OS_BYTES,
        source=draw.source,
        source_bits=8 * len(data),
        quantum=draw.quantum,
        statement=draw.statement,
    )
    return Seeds(account, prk)


OS_STATEMENT = "Source: the operating system's generator. No other source was mixed in."


def check_health(samples: bytes, source: str) -> None:
    """Run the repetition count and adaptive proportion tests over bits, first bit highest.

    Raises:
        EntropyFailed: the source is broken.
    """
    bits = f"{int.from_bytes(samples, 'big'):0{8 * len(samples)}b}" if samples else ""
    for symbol in "01":
        if symbol * RCT_CUTOFF in bits:
            raise EntropyFailed(
                f"{source} failed its health test: {RCT_CUTOFF} equal bits in a row "
                "(SP 800-90B repetition count)"
            )
    for at in range(0, len(bits) - APT_WINDOW + 1, APT_WINDOW):
        window = bits[at : at + APT_WINDOW]
        if window.count(window[0]) >= APT_CUTOFF:
            raise EntropyFailed(
                f"{source} failed its health test: {window.count(window[0])} of {APT_WINDOW} "
                "bits are equal (SP 800-90B adaptive proportion)"
            )
