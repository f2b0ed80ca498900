"""What can be wrong with a receipt, a note or the log; and how much a receipt proves.

::

    DunesError
    ├── NotTheSame            1   a checkpoint contradicts an earlier one
    ├── LogDamaged            1   the log's bytes are not what was written
    └── DataError
        ├── BadReceipt       65   bad-receipt and finer codes
        └── BadNote          65   bad-note: not a signed note, checkpoint or proof
"""

from enum import IntEnum
from typing import Protocol

from dunes.errors import DataError, DunesError


class Level(IntEnum):
    """What a receipt proves; each level includes those below it."""

    NONE = 0
    """It can be read, and proves nothing about its source."""
    MIRROR = 1
    """It is the whole mirror of some text; anyone could have made it."""
    DIGEST = 2
    """The mirrored text is the one whose digest stands in front; anyone could have made it."""
    SIGNED = 3
    """A known key signed exactly this receipt."""
    LOGGED = 4
    """The log holds it at the index it names."""
    COSIGNED = 5
    """Another party countersigned a checkpoint of the log that covers it."""

    @property
    def word(self) -> str:
        """The level's name in output."""
        return self.name.lower()


class BadReceipt(DataError):
    """Not a receipt, or one that contradicts itself."""

    code = "bad-receipt"


class BadNote(DataError):
    """Not a signed note, a checkpoint or a proof, or a damaged one."""

    code = "bad-note"


class NotTheSame(DunesError):
    """Two checkpoints of one log that cannot both be true: entries were changed or removed."""

    code = "log-contradiction"


class LogDamaged(DunesError):
    """The log's bytes are not those that were written."""

    code = "log-damaged"


class Signer(Protocol):
    """A private key; `dunes.crypto.signing.SigningKey` is one."""

    @property
    def kid(self) -> str:
        """Its key id: 32 hex digits."""

    def sign(self, data: bytes, context: bytes) -> bytes:
        """Sign data for one purpose."""


class Verifier(Protocol):
    """A public key; `dunes.crypto.signing.VerifyKey` is one."""

    @property
    def kid(self) -> str:
        """Its key id: 32 hex digits."""

    @property
    def raw(self) -> bytes:
        """The public key as FIPS 204 encodes it."""

    def verify(self, signature: bytes, data: bytes, context: bytes) -> None:
        """Return nothing if the signature is good, else raise `BadSignature`."""
