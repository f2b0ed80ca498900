"""One node over SMP: what it says of itself, and the few requests that flashing needs.

smpclient speaks; here its answers become ours, bounded, and its many exceptions two:
`NodeSilent` (ours to repeat) and `NodeRefused` (theirs).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dunes.errors import DunesError, Unavailable, UsageError
from dunes.firmware.errors import NodeRefused, NodeSilent
from dunes.firmware.rules import NodeFacts
from dunes.firmware.version import Version
from dunes.text import printable

if TYPE_CHECKING:
    from smpclient import SMPClient
    from smpclient.transport import SMPTransport

ANSWER_S = 3.0
"""For one answer; a busy node with a slow link takes a second."""
ERASE_S = 20.0
"""For the answer to an upload's first piece: the node may erase its slot first. 105 pages of
85 ms are 9 s, by the data sheet of the nRF52840."""
SLOTS_MAX = 16
HASH_BYTES_MAX = 64
TEXT_MAX = 80
STUCK_MAX = 20
"""Answers in a row without an offset that grows."""


@dataclass(frozen=True, slots=True)
class SlotState:
    """One image in a node.

    Attributes:
        slot: 0: runs; 1: waits, or ran before.
        version: its version; None if it cannot be read.
        hash: of the image, see `Image.hash`.
        active: it runs.
        confirmed: it stays.
        pending: the next start swaps it in.
    """

    slot: int
    version: Version | None
    hash: bytes
    active: bool
    confirmed: bool
    pending: bool


@dataclass(frozen=True, slots=True)
class NodeImages:
    """What images a node has."""

    slots: tuple[SlotState, ...]

    @property
    def running(self) -> SlotState | None:
        """What runs."""
        return next((slot for slot in self.slots if slot.active), None)

    def waiting(self, image_hash: bytes) -> SlotState | None:
        """Give the slot in which an image lies without running."""
        return next((s for s in self.slots if s.hash == image_hash and not s.active), None)


@dataclass(slots=True)
class SmpNode:
    """A node that is reached over SMP.

    Args:
        name: as people call it.
        make_transport: makes a fresh transport; each connection has its own.
        address: what that connects to.
        connect_s: how long connecting may take.
        answer_s: how long one answer may take.
        slots: as many as links that the radio carries; a node that restarts holds none.
    """

    name: str
    make_transport: "Callable[[], SMPTransport]"
    address: str
    connect_s: float = 10.0
    answer_s: float = ANSWER_S
    slots: asyncio.Semaphore | None = field(default=None, repr=False)
    _client: "SMPClient | None" = field(default=None, repr=False)

    # ------------------------------------------------------------------ connection

    async def connect(self) -> None:
        """Connect, if it is not.

        Raises:
            NodeSilent: nobody is there.
        """
        if self._client is not None:
            return
        from smpclient import SMPClient

        client = SMPClient(self.make_transport(), self.address, timeout_s=self.answer_s)
        if self.slots is not None:
            await self.slots.acquire()
        with self._judged("connect"):
            try:
                async with asyncio.timeout(self.connect_s + self.answer_s):
                    await client.connect(self.connect_s)
            except BaseException:
                await self._drop(client)
                raise
        self._client = client

    async def close(self) -> None:
        """Hang up; quietly if that has happened."""
        client, self._client = self._client, None
        if client is not None:
            await self._drop(client)

    async def _drop(self, client: "SMPClient") -> None:
        try:
            with contextlib.suppress(Exception):  # on the way out, whatever it is
                await client.disconnect()
        finally:
            if self.slots is not None:
                self.slots.release()

    @property
    def frame_bytes(self) -> int:
        """The longest frame that goes to it."""
        return self._need()._transport.max_unencoded_size  # noqa: SLF001 - it has no other way

    # ------------------------------------------------------------------ questions

    async def facts(self, images: NodeImages) -> NodeFacts:
        """Ask what it is.

        Raises:
            NodeSilent, NodeRefused: no answer, or none that can be.
        """
        running = images.running
        return NodeFacts(
            name=self.name,
            board=await self._board(),
            version=running.version if running else None,
            bootloader=await self._bootloader(),
        )

    async def images(self) -> NodeImages:
        """Ask which images it has."""
        from smpclient.requests.image_management import ImageStatesRead

        return _images(await self._request(ImageStatesRead()))

    async def echo(self) -> None:
        """Make sure that it answers at all."""
        from smpclient.requests.os_management import EchoWrite

        answer = await self._request(EchoWrite(d="dunes"))
        if answer.r != "dunes":
            raise NodeRefused(f"{self.name} does not echo what it was sent")

    async def _board(self) -> str:
        from smpclient.requests.os_management import OSApplicationInfoRead

        try:
            answer = await self._request(OSApplicationInfoRead(format="i"))
        except NodeRefused:  # built without it: `rules` says what follows from that
            return ""
        return printable(answer.output.strip(), TEXT_MAX)

    async def _bootloader(self) -> Version | None:
        from dunes.firmware.smpextra import BootloaderVersionRead

        with contextlib.suppress(NodeRefused, UsageError):  # few nodes know
            answer = await self._request(BootloaderVersionRead(query="release"))
            return Version.parse(answer.release)
        return None

    # ------------------------------------------------------------------ changes

    async def upload(self, data: bytes) -> AsyncIterator[int]:
        """Send an image to the waiting slot; gives how far it has come, from where it was.

        The node decides where to go on: it knows an upload by its SHA-256.

        Raises:
            NodeSilent: the link broke, or the node restarted; to be tried again.
            NodeRefused: it does not want it.
        """
        client = self._need()
        best, stuck = -1, 0
        uploading = client.upload(
            data, first_timeout_s=ERASE_S, subsequent_timeout_s=self.answer_s
        )
        with self._judged("upload"):
            async for offset in uploading:
                if not 0 <= offset <= len(data):
                    raise NodeRefused(
                        f"{self.name} says that it has {offset} of {len(data)} bytes"
                    )
                if offset < best:
                    # smpclient would go on without the SHA-256: no resuming, no check then
                    raise NodeSilent(f"{self.name} has forgotten the upload: it restarted")
                stuck = 0 if offset > best else stuck + 1
                best = max(best, offset)
                if stuck > STUCK_MAX:
                    raise NodeRefused(f"{self.name} takes no more than {best} bytes")
                yield offset

    async def test(self, image_hash: bytes) -> NodeImages:
        """Have it start an image once, on trial, after the next reset."""
        return await self._set_state(image_hash, confirm=False)

    async def confirm(self, image_hash: bytes) -> NodeImages:
        """Have it keep the image that runs."""
        return await self._set_state(image_hash, confirm=True)

    async def _set_state(self, image_hash: bytes, *, confirm: bool) -> NodeImages:
        from smpclient.requests.image_management import ImageStatesWrite

        return _images(await self._request(ImageStatesWrite(hash=image_hash, confirm=confirm)))

    async def reset(self) -> None:
        """Have it restart, and hang up. That it hangs up first is no error."""
        from smpclient.requests.os_management import ResetWrite

        with contextlib.suppress(NodeSilent):
            await self._request(ResetWrite())
        await self.close()

    # ------------------------------------------------------------------ inside

    def _need(self) -> "SMPClient":
        if self._client is None:
            raise NodeSilent(f"{self.name} is not connected")
        return self._client

    async def _request(self, request: Any) -> Any:
        """Ask; gives the answer of success.

        Raises:
            NodeSilent: no answer, or the link is gone; the connection is closed.
            NodeRefused: an error, or what cannot be read.
        """
        from smpclient.generics import error

        client = self._need()
        try:
            with self._judged(type(request).__name__):
                answer = await client.request(request, timeout_s=self.answer_s)
        except NodeSilent:
            await self.close()
            raise
        if error(answer):
            raise NodeRefused(f"{self.name} refuses {_what(request)}: {_rc(answer)}")
        return answer

    @contextlib.contextmanager
    def _judged(self, what: str) -> Any:
        """Turn what smpclient, its transports and its parsers throw into our two."""
        from cbor2 import CBORError
        from smp.exceptions import SMPException
        from smpclient.exceptions import SMPBadSequence, SMPClientException, SMPUploadError
        from smpclient.transport import SMPTransportDisconnected

        try:
            yield
        except (TimeoutError, SMPTransportDisconnected, SMPBadSequence, OSError) as e:
            raise NodeSilent(
                f"{self.name} does not answer ({what})",
                hint="is it powered, and in reach? its firmware needs an SMP server",
            ) from e
        except Unavailable as e:  # of the radio: it has said what it is
            raise NodeSilent(f"{self.name}: {e.message}", hint=e.hint) from e
        except DunesError:
            raise
        except SMPUploadError as e:
            raise NodeRefused(f"{self.name} refuses the image: {_rc(e.args[0])}") from e
        except (
            SMPClientException,
            SMPException,
            CBORError,
            ArithmeticError,
            AssertionError,
            AttributeError,
            LookupError,
            MemoryError,
            RecursionError,
            TypeError,
            ValueError,
        ) as e:  # their parsers take whatever a peer sends
            raise NodeRefused(
                f"{self.name} answers what cannot be read ({what}): "
                f"{printable(str(e).strip(), TEXT_MAX)}"
            ) from e


def _images(answer: Any) -> NodeImages:
    """Read the list of images, bounded."""
    slots = []
    for image in answer.images[:SLOTS_MAX]:
        if image.image:  # of another core: nothing of ours
            continue
        try:
            version = Version.parse(image.version[:TEXT_MAX])
        except UsageError:
            version = None
        slots.append(
            SlotState(
                slot=image.slot,
                version=version,
                hash=bytes(image.hash or b"")[:HASH_BYTES_MAX],
                active=bool(image.active),
                confirmed=bool(image.confirmed),
                pending=bool(image.pending),
            )
        )
    return NodeImages(tuple(slots))


def _what(request: Any) -> str:
    return {
        "ImageStatesRead": "to list its images",
        "ImageStatesWrite": "to mark the image",
        "ResetWrite": "to restart",
        "EchoWrite": "an echo",
    }.get(type(request).__name__, "a question")


def _rc(answer: Any) -> str:
    """Write an error answer in its own words."""
    err = getattr(answer, "err", None)
    rc = getattr(err, "rc", None) if err is not None else getattr(answer, "rc", None)
    name = getattr(rc, "name", None)
    return printable(name.lower().replace("_", " ") if name else str(answer), TEXT_MAX)
