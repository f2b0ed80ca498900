"""The SMP server of a virtual node: bytes of a request in, bytes of the answer out.

What Zephyr's MCUmgr does with the groups OS (0) and image (1), written after its published
documents and not after any client. A frame is a header of 8 octets and a CBOR map::

    0  1  bits 0-2 operation, 3-4 version     4  2  group
    1  1  flags                               6  1  sequence
    2  2  length of the map                   7  1  command

Big-endian. Who carries frames (UDP, console, GATT) asks `reset_due` after each answer,
lets the answer leave, and calls `reset`.

Source: Zephyr documentation, "SMP Protocol Specification", "SMP groups" 0 and 1.
"""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

import cbor2

from dunes.errors import DataError
from dunes.firmware.image import HEADER_BYTES, MAGIC, peek_version
from dunes.firmware.version import Version
from dunes.sim.mcuboot import PRIMARY, SECONDARY, SLOT_BYTES, Board

HEADER = struct.Struct(">BBHHBB")
READ, WRITE = 0, 2
OS, IMAGE = 0, 1
BUFFER_BYTES = 2475
"""`CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE` that Nordic's samples use with Bluetooth."""
BUFFERS = 4
SWAP_USING_MOVE = 3
KERNEL = "Zephyr"
KERNEL_VERSION = "4.2.0"
T = TypeVar("T")


class Rc(IntEnum):
    """`enum mcumgr_err_t`, those that are used here."""

    UNKNOWN = 1
    INVALID = 3
    NO_ENTRY = 5
    BAD_STATE = 6
    TOO_LONG = 7
    NOT_SUPPORTED = 8


class ImageRc(IntEnum):
    """`enum img_mgmt_err_code_t`, those that are used here."""

    NO_IMAGE = 3
    NO_FREE_SLOT = 9
    INVALID_SLOT = 14
    INVALID_OFFSET = 20
    INVALID_LENGTH = 21
    INVALID_HEADER = 22
    INVALID_MAGIC = 23
    INVALID_HASH = 24
    CURRENT_IS_NEWER = 27
    ALREADY_PENDING = 28
    TOO_LARGE = 30
    OVERRUN = 31
    TEST_OF_ACTIVE_DENIED = 33


OS_INVALID_FORMAT, OS_NO_ANSWER = 2, 3
ORIGINAL = {
    ImageRc.NO_IMAGE: Rc.NO_ENTRY,
    ImageRc.NO_FREE_SLOT: Rc.BAD_STATE,
    ImageRc.CURRENT_IS_NEWER: Rc.BAD_STATE,
    ImageRc.ALREADY_PENDING: Rc.BAD_STATE,
    ImageRc.INVALID_SLOT: Rc.INVALID,
    ImageRc.INVALID_OFFSET: Rc.INVALID,
    ImageRc.INVALID_LENGTH: Rc.INVALID,
    ImageRc.INVALID_HEADER: Rc.INVALID,
    ImageRc.INVALID_HASH: Rc.INVALID,
}
"""What version 1 of the protocol says for an error of the image group."""


class Fault(Exception):
    """An error to answer with: of a group, or of the protocol where `group` is None."""

    def __init__(self, rc: int, group: int | None = None) -> None:
        super().__init__(rc)
        self.rc, self.group = rc, group


@dataclass(slots=True)
class Upload:
    """An upload that goes on; a reset forgets it, as Zephyr does."""

    size: int
    sha: bytes
    data: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class SmpServer:
    """One node's server.

    Attributes:
        board: what it manages.
        name: what the node is called.
        buffer_bytes: the longest frame it takes.
        reset_due: somebody asked for a reset; whoever carries frames is to call `reset`.
        upload: what is being uploaded.
    """

    board: Board
    name: str
    buffer_bytes: int = BUFFER_BYTES
    reset_due: bool = False
    upload: Upload | None = None

    def receive(self, frame: bytes) -> bytes | None:
        """Answer one frame; None for what is no request."""
        if len(frame) < HEADER.size:
            return None
        operation, _flags, length, group, sequence, command = HEADER.unpack_from(frame)
        op, version = operation & 7, operation >> 3 & 3
        if op not in {READ, WRITE} or len(frame) != HEADER.size + length:
            return None
        try:
            answer = self._handle(op, group, command, _decode(frame, self.buffer_bytes))
        except Fault as fault:
            answer = _failure(fault, version)
        body = cbor2.dumps(answer)
        head = HEADER.pack(version << 3 | op + 1, 0, len(body), group, sequence, command)
        return head + body

    def reset(self) -> None:
        """Start anew, through the bootloader."""
        self.reset_due = False
        self.upload = None
        self.board.boot()

    def _handle(self, op: int, group: int, command: int, given: dict[str, Any]) -> dict[str, Any]:
        handlers: dict[tuple[int, int, int], Callable[[dict[str, Any]], dict[str, Any]]] = {
            (OS, 0, READ): self._echo,
            (OS, 0, WRITE): self._echo,
            (OS, 5, WRITE): self._ask_reset,
            (OS, 6, READ): self._parameters,
            (OS, 7, READ): self._info,
            (OS, 8, READ): self._bootloader,
            (IMAGE, 0, READ): self._state,
            (IMAGE, 0, WRITE): self._set_state,
            (IMAGE, 1, WRITE): self._take,
            (IMAGE, 5, WRITE): self._erase,
        }
        handler = handlers.get((group, command, op))
        if handler is None:
            raise Fault(Rc.NOT_SUPPORTED)
        return handler(given)

    # ------------------------------------------------------------------ group 0

    def _echo(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"r": _get(given, "d", str, "")}

    def _ask_reset(self, _given: dict[str, Any]) -> dict[str, Any]:
        self.reset_due = True
        return {}

    def _parameters(self, _given: dict[str, Any]) -> dict[str, Any]:
        return {"buf_size": self.buffer_bytes, "buf_count": BUFFERS}

    def _info(self, given: dict[str, Any]) -> dict[str, Any]:
        known = {
            "s": KERNEL,
            "n": self.name,
            "r": KERNEL_VERSION,
            "v": KERNEL_VERSION,
            "m": "arm",
            "p": "cortex-m4",
            "i": self.board.name,
            "o": KERNEL,
        }
        wanted = _get(given, "format", str, "s") or "s"
        if not set(wanted) <= {*known, "a"}:
            raise Fault(OS_INVALID_FORMAT, OS)
        chosen = known if "a" in wanted else wanted
        return {"output": " ".join(text for letter, text in known.items() if letter in chosen)}

    def _bootloader(self, given: dict[str, Any]) -> dict[str, Any]:
        match _get(given, "query", str, ""):
            case "":
                return {"bootloader": "MCUboot"}
            case "mode":
                return {"mode": SWAP_USING_MOVE}
            case "release":  # what an application may add by MCUmgr's hook; ours does
                return {"release": str(self.board.bootloader)}
            case _:
                raise Fault(OS_NO_ANSWER, OS)

    # ------------------------------------------------------------------ group 1

    def _state(self, _given: dict[str, Any]) -> dict[str, Any]:
        images = []
        for number, slot in enumerate(self.board.slots):
            image, active = slot.image, number == PRIMARY
            if image is not None:
                images.append(
                    {
                        "slot": number,
                        "version": _version_text(image.version),
                        "hash": image.hash,
                        "bootable": True,
                        "pending": not active and self.board.pending,
                        "confirmed": active and self.board.confirmed,
                        "active": active,
                        "permanent": not active and self.board.permanent,
                    }
                )
        return {"images": images}

    def _set_state(self, given: dict[str, Any]) -> dict[str, Any]:
        wanted = _get(given, "hash", bytes, b"")
        confirm = _get(given, "confirm", bool, default=False)
        if not wanted:
            if not confirm:
                raise Fault(ImageRc.INVALID_HASH, IMAGE)
            self.board.confirm()
            return self._state({})
        found = [i for i, slot in enumerate(self.board.slots) if _has_hash(slot.image, wanted)]
        if not found:
            raise Fault(ImageRc.NO_IMAGE, IMAGE)
        if PRIMARY in found:
            if not confirm:
                raise Fault(ImageRc.TEST_OF_ACTIVE_DENIED, IMAGE)
            self.board.confirm()
        elif not self.board.confirmed:
            raise Fault(ImageRc.ALREADY_PENDING, IMAGE)
        else:
            self.board.mark(permanent=confirm)
        return self._state({})

    def _take(self, given: dict[str, Any]) -> dict[str, Any]:
        offset, data = _get(given, "off", int, -1), _get(given, "data", bytes, b"")
        if offset < 0:
            raise Fault(ImageRc.INVALID_OFFSET, IMAGE)
        if offset == 0:
            begun = self._begin(given, data)
            if begun is not None:
                return begun
        if self.upload is None or offset != len(self.upload.data):
            return {"off": len(self.upload.data) if self.upload else 0}
        if len(self.upload.data) + len(data) > self.upload.size:
            self.upload = None
            raise Fault(ImageRc.OVERRUN, IMAGE)
        self.upload.data += data
        self.board.slots[SECONDARY].data = bytes(self.upload.data)
        if len(self.upload.data) < self.upload.size:
            return {"off": len(self.upload.data)}
        sha = hashlib.sha256(self.upload.data).digest()
        match, size = self.upload.sha == sha, self.upload.size
        self.upload = None
        return {"off": size, "match": match}

    def _begin(self, given: dict[str, Any], data: bytes) -> dict[str, Any] | None:
        """Look at a first piece; gives an answer where there is nothing to write."""
        size, sha = _get(given, "len", int, -1), _get(given, "sha", bytes, b"")
        if len(data) < HEADER_BYTES:
            raise Fault(ImageRc.INVALID_HEADER, IMAGE)
        if int.from_bytes(data[:4], "little") != MAGIC:
            raise Fault(ImageRc.INVALID_MAGIC, IMAGE)
        if size < len(data):
            raise Fault(ImageRc.INVALID_LENGTH, IMAGE)
        if size > SLOT_BYTES:
            raise Fault(ImageRc.TOO_LARGE, IMAGE)
        if _get(given, "image", int, 0):
            raise Fault(ImageRc.INVALID_SLOT, IMAGE)
        if sha and self.upload is not None and (sha, size) == (self.upload.sha, self.upload.size):
            return {"off": len(self.upload.data)}  # the session goes on
        if self.board.secondary_busy:
            raise Fault(ImageRc.NO_FREE_SLOT, IMAGE)
        if _get(given, "upgrade", bool, default=False) and (
            peek_version(data).release <= self.board.running.version.release
        ):
            raise Fault(ImageRc.CURRENT_IS_NEWER, IMAGE)
        here = self.board.slots[SECONDARY].data
        if len(sha) == hashlib.sha256().digest_size and hashlib.sha256(here).digest() == sha:
            return {"off": size, "match": True}
        self.upload = Upload(size, sha)
        return None

    def _erase(self, given: dict[str, Any]) -> dict[str, Any]:
        if _get(given, "slot", int, SECONDARY) != SECONDARY:
            raise Fault(ImageRc.INVALID_SLOT, IMAGE)
        if self.board.secondary_busy:
            raise Fault(ImageRc.NO_FREE_SLOT, IMAGE)
        self.board.slots[SECONDARY].data, self.upload = b"", None
        return {}


def _decode(frame: bytes, limit_bytes: int) -> dict[str, Any]:
    if len(frame) > limit_bytes:
        raise Fault(Rc.TOO_LONG)
    try:
        given = cbor2.loads(frame[HEADER.size :])
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError, DataError) as e:
        raise Fault(Rc.INVALID) from e
    if not isinstance(given, dict):
        raise Fault(Rc.INVALID)
    return given


def _get(given: dict[str, Any], key: str, kind: type[T], default: T) -> T:
    """Take a value of one type out of a map; another type is the asker's mistake."""
    value = given.get(key, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Fault(Rc.INVALID)
    return value


def _failure(fault: Fault, version: int) -> dict[str, Any]:
    if fault.group is None:
        return {"rc": int(fault.rc)}
    if version:
        return {"err": {"group": fault.group, "rc": int(fault.rc)}}
    if fault.group == OS:
        return {"rc": int(Rc.NO_ENTRY if fault.rc == OS_NO_ANSWER else Rc.INVALID)}
    return {"rc": int(ORIGINAL.get(ImageRc(fault.rc), Rc.UNKNOWN))}


def _has_hash(image: Any, wanted: bytes) -> bool:
    return image is not None and image.hash == wanted


def _version_text(version: Version) -> str:
    """Write a version as Zephyr does: the build number after another point, if there is one."""
    text = ".".join(str(number) for number in version.release)
    return f"{text}.{version.build}" if version.build else text
