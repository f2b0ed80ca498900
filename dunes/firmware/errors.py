"""What can be wrong with firmware, or with bringing it to a node.

A `Reason` is the stable word for it: in messages, in JSON, and in `--force REASON`.
"""

from enum import StrEnum

from dunes.errors import DataError, Denied, DunesError, PeerError, Unavailable


class Reason(StrEnum):
    """Why firmware is not flashed."""

    TRUNCATED = "truncated"
    """The image is shorter than it says, or than its manifest says."""
    DAMAGED = "damaged"
    """The image's own hash, or the manifest's, is another."""
    NOT_AN_IMAGE = "not-an-image"
    """It does not begin as an MCUboot image does, or its structure is impossible."""
    OTHER_BOARD = "other-board"
    """It was built for another board than the node's, or the node does not say which it is."""
    DOWNGRADE = "downgrade"
    """It is older than what the node runs."""
    STRANGER = "stranger"
    """Its manifest has no signature of anybody who may sign firmware here."""
    SIMULATED = "simulated"
    """It is for simulated nodes only, and this node is none."""
    BOOTLOADER = "bootloader"
    """It needs a newer bootloader than the node has."""


FORCEABLE = (
    Reason.TRUNCATED,
    Reason.OTHER_BOARD,
    Reason.DOWNGRADE,
    Reason.STRANGER,
    Reason.BOOTLOADER,
)
"""What a person may know better about. Damage and simulation are no matter of opinion."""


class BadImage(DataError):
    """A file that is no good firmware image; `reason` says in which way."""

    def __init__(self, reason: Reason, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, code=f"firmware-{reason}")
        self.reason = reason


class BadManifest(DataError):
    """A firmware manifest that cannot be read."""

    code = "bad-manifest"


class Refused(Denied):
    """Firmware that is not flashed, for a reason that is named."""

    def __init__(self, reason: Reason, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, code=f"firmware-{reason}")
        self.reason = reason


class NodeSilent(Unavailable):
    """A node does not answer over SMP."""

    code = "node-silent"


class NodeRefused(PeerError):
    """A node answered an SMP request with an error, or with what cannot be."""

    code = "node-refused"


class Reverted(DunesError):
    """A node took the old firmware back."""

    code = "firmware-reverted"
