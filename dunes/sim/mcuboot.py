"""A virtual board's flash and bootloader: two slots, trial, confirmation, swap back.

As MCUboot does it in its swap modes: an update waits in the secondary slot until it is
marked; the next start verifies it and swaps the slots. What was marked for a test runs
on trial: unless it is confirmed, the start after that swaps back.

Source: MCUboot design document, "Image slots", "Swap types", "Image trailer".
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dunes.errors import DataError, LocalError
from dunes.firmware.image import Image, parse_image
from dunes.firmware.rules import same_board
from dunes.firmware.version import Version
from dunes.sim.signedimage import key_hash

PRIMARY, SECONDARY = 0, 1
SLOT_BYTES = 0x69000
"""Of the nRF52840 development kit's usual partition table: 420 KiB."""
ED25519_TLV = 0x24
BOOTLOADER = Version(2, 1)
STARTS_MAX = 4
"""A fresh start may end in a crash, which ends in another one; then the old image runs."""


@dataclass(slots=True)
class Slot:
    """A part of flash, as far as anybody has written it."""

    data: bytes = b""

    @property
    def image(self) -> Image | None:
        """The image in it, if it is one."""
        try:
            return parse_image(self.data)
        except DataError:
            return None


@dataclass(slots=True)
class Board:
    """A board with its bootloader.

    Args:
        name: what it says its board is, e.g. `simulated`.
        key: whose images it starts.
        factory: what runs at first, confirmed.
        crashes: tells whether an image dies right after its start; faults to order.
        bootloader: version of the bootloader.
    """

    name: str
    key: Ed25519PublicKey
    factory: bytes
    crashes: Callable[[Image], bool] = lambda _image: False
    bootloader: Version = BOOTLOADER
    slots: list[Slot] = field(init=False)
    confirmed: bool = field(init=False, default=True)
    pending: bool = field(init=False, default=False)
    permanent: bool = field(init=False, default=False)
    trial: bool = field(init=False, default=False)
    """What runs was swapped in on trial; until it is confirmed, the next start swaps back."""
    starts: int = field(init=False, default=0)
    """How often it started, crashes counted."""
    _running: Image = field(init=False)

    def __post_init__(self) -> None:
        """Take the board out of its box."""
        self.slots = [Slot(self.factory), Slot()]
        self._running = self._need(PRIMARY)

    @property
    def running(self) -> Image:
        """What runs."""
        return self._running

    @property
    def secondary_busy(self) -> bool:
        """Whether the secondary slot must not be written: marked, or needed to swap back."""
        return self.pending or (self.trial and not self.confirmed)

    def mark(self, *, permanent: bool) -> None:
        """Mark the secondary image for the next start, on trial or for good."""
        self.pending, self.permanent = True, permanent

    def confirm(self) -> None:
        """Keep what runs."""
        self.confirmed = True

    def boot(self) -> Image:
        """Start: swap if something is marked, swap back if a trial was not confirmed."""
        for _ in range(STARTS_MAX):
            self.starts += 1
            self._swap_if_due()
            self._running = self._need(PRIMARY)
            if not self.crashes(self._running):
                return self._running
        raise LocalError(f"board {self.name} has no image that runs")

    def _swap_if_due(self) -> None:
        if self.pending:
            permanent, self.pending, self.permanent = self.permanent, False, False
            if not self.accepts(self.slots[SECONDARY].image):
                self.slots[SECONDARY].data = b""  # as MCUboot erases what fails
                return
            self.slots.reverse()
            self.confirmed, self.trial = permanent, not permanent
        elif self.trial and not self.confirmed:
            self.slots.reverse()
            self.confirmed, self.trial = True, False
        else:
            self.trial = False

    def accepts(self, image: Image | None) -> bool:
        """Tell whether the bootloader would start an image: by its maker, for this board."""
        if image is None or image.key_hash != key_hash(self.key).hex():
            return False
        if image.board and not same_board(image.board, self.name):
            return False
        signature = next((e.value for e in image.entries if e.kind == ED25519_TLV), b"")
        try:
            self.key.verify(signature, image.hash)
        except InvalidSignature:
            return False
        return True

    def _need(self, number: int) -> Image:
        image = self.slots[number].image
        if image is None:
            raise LocalError(f"board {self.name} has no image in slot {number}")
        return image
