"""Update one node: upload, test, reset, read what runs, confirm; or say what became of it.

::

    read ──► runs it, confirmed ─────────────────────────────► up to date
      │  └─► runs it, on trial ───────────────────► confirm ─► updated
      ├────► has it waiting ──► test ─┐
      └────► upload (resumes) ► test ─┴► reset ► read ► confirm ─► updated
                                                  ├─► the old one runs ─► reverted
                                                  └─► it does not echo ─► reset ─► reverted

Nothing is confirmed that has not been seen running. Until it is confirmed, the node's next
start brings the old firmware back; so a node that we lose sight of heals itself.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from dunes.firmware.errors import NodeRefused, NodeSilent, Reverted
from dunes.firmware.image import Image
from dunes.firmware.smp import NodeImages, SmpNode
from dunes.units import show_duration

SETTLE_S = 1.0
"""A node answers a reset first and restarts a quarter of a second later."""
RETRY_S = 0.5
TRIES_WITHOUT_PROGRESS = 5
"""Broken uploads in a row that brought nothing."""
CALM_S = 0.5
"""Between two looks at whether the new firmware lives."""


class Stage(StrEnum):
    """How far an update is."""

    CONNECT = "connect"
    UPLOAD = "upload"
    TEST = "test"
    RESTART = "restart"
    VERIFY = "verify"
    CONFIRM = "confirm"


class Result(StrEnum):
    """What became of a node."""

    UPDATED = "updated"
    """It runs the new firmware and keeps it."""
    UP_TO_DATE = "up-to-date"
    """It ran that before."""
    ON_TRIAL = "on-trial"
    """It runs the new firmware; its next start brings the old one back."""


@dataclass(slots=True)
class Account:
    """What happened to one node.

    Attributes:
        sent_bytes: of the image, by us, now.
        resumed_bytes: what the node had of it before.
        breaks: how often the link broke meanwhile.
    """

    sent_bytes: int = 0
    resumed_bytes: int = 0
    breaks: int = 0


Tell = Callable[[Stage, int], None]
"""Told the stage, and during an upload how many bytes are there."""


@dataclass(slots=True)
class Update:
    """One node's update.

    Args:
        node: it.
        image: what it is to run.
        timeout_s: until the image is in the node.
        restart_s: how long a restart with its swap may take.
        tell: told how far it is.
        keep: confirm; else leave it on trial.
    """

    node: SmpNode
    image: Image
    timeout_s: float
    restart_s: float
    tell: Tell = lambda _stage, _done: None
    keep: bool = True
    _reached: int = field(default=0, init=False)

    async def run(self, account: Account) -> Result:
        """Do it.

        Raises:
            NodeSilent: the node is gone; the message says what it does at its next start.
            NodeRefused: it does not want the image.
            Reverted: it runs the old firmware again.
        """
        deadline_s = time.monotonic() + self.timeout_s
        images = await self._look(deadline_s)
        before = images.running
        if before is not None and before.hash == self.image.hash:
            if before.confirmed:
                return Result.UP_TO_DATE
            return await self._judge_and_confirm()
        waiting = images.waiting(self.image.hash)
        if waiting is None:
            await self._upload(deadline_s, account)
        if waiting is None or not waiting.pending:
            self.tell(Stage.TEST, 0)
            await self.node.test(self.image.hash)
        self.tell(Stage.RESTART, 0)
        await self.node.reset()
        images = await self._await_restart()
        running = images.running
        if running is None or running.hash != self.image.hash:
            raise self._reverted(images)
        return await self._judge_and_confirm()

    # ------------------------------------------------------------------ steps

    async def _look(self, deadline_s: float) -> NodeImages:
        """Connect and ask for the images; tries until time is up."""
        while True:
            self.tell(Stage.CONNECT, 0)
            try:
                await self.node.connect()
                return await self.node.images()
            except NodeSilent:
                await self.node.close()
                if time.monotonic() + RETRY_S > deadline_s:
                    raise
                await asyncio.sleep(RETRY_S)

    async def _upload(self, deadline_s: float, account: Account) -> None:
        """Send the image; a broken link is taken up again where the node says."""
        fruitless = 0
        while True:
            began = self._reached
            try:
                await self.node.connect()
                await self._send(account)
            except NodeSilent as e:
                await self.node.close()
                account.breaks += 1
                fruitless = 0 if self._reached > began else fruitless + 1
                if fruitless >= TRIES_WITHOUT_PROGRESS or time.monotonic() > deadline_s:
                    raise NodeSilent(
                        f"{self.node.name}: the upload broke off at {self._reached} of "
                        f"{len(self.image.data)} bytes; it still runs what it ran",
                        hint="repeat the command: it goes on where the node stopped",
                        code="upload-broken",
                    ) from e
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _send(self, account: Account) -> None:
        """Send what the node does not have yet."""
        before: int | None = None
        async for offset in self.node.upload(self.image.data):
            if before is None and offset > self.node.frame_bytes:
                # more than the first frame held: the node had it
                account.resumed_bytes = max(account.resumed_bytes, offset - account.sent_bytes)
            else:
                account.sent_bytes += max(0, offset - (before or 0))
            before = offset
            self._reached = max(self._reached, offset)
            self.tell(Stage.UPLOAD, offset)

    async def _await_restart(self) -> NodeImages:
        """Wait until the node is back from its bootloader."""
        until_s = time.monotonic() + self.restart_s
        await asyncio.sleep(SETTLE_S)
        while True:
            try:
                await self.node.connect()
                images = await self.node.images()
            except NodeSilent as e:
                await self.node.close()
                if time.monotonic() > until_s:
                    raise NodeSilent(
                        f"{self.node.name} has not come back within "
                        f"{show_duration(self.restart_s)} of its restart; if it lives, its next "
                        "start brings the old firmware back",
                        hint="look at it; then repeat the command",
                        code="node-lost",
                    ) from e
            else:
                waiting = images.waiting(self.image.hash)
                if waiting is None or not waiting.pending:
                    return images
                if time.monotonic() > until_s:
                    raise NodeRefused(
                        f"{self.node.name} does not restart", hint="reset it by hand"
                    )
            await asyncio.sleep(RETRY_S)

    async def _judge_and_confirm(self) -> Result:
        """See whether the new firmware lives, and keep it; else have it taken back."""
        self.tell(Stage.VERIFY, 0)
        try:
            await self.node.echo()
            await asyncio.sleep(CALM_S)
            await self.node.echo()
            if not self.keep:
                return Result.ON_TRIAL
            self.tell(Stage.CONFIRM, 0)
            images = await self.node.confirm(self.image.hash)
        except (NodeSilent, NodeRefused) as e:
            raise Reverted(
                f"{self.node.name} started {self.image.version} but is not fit to keep it "
                f"({e.message}); {await self._take_back()}",
                hint="dunes flash-node --dry-run shows what it runs",
            ) from e
        running = images.running
        if running is None or running.hash != self.image.hash or not running.confirmed:
            raise NodeRefused(f"{self.node.name} did not keep {self.image.version}")
        return Result.UPDATED

    async def _take_back(self) -> str:
        """Restart a node on trial, if it can still be told to; says what it runs then."""
        try:
            await self.node.connect()
            await self.node.reset()
            images = await self._await_restart()
        except (NodeSilent, NodeRefused):
            await self.node.close()
            return "its next start brings the old firmware back"
        running = images.running
        return f"it was restarted and runs {running.version if running else 'nothing we know'}"

    def _reverted(self, images: NodeImages) -> Reverted:
        running = images.running
        runs = f"it runs {running.version}" if running else "it does not say what it runs"
        if images.waiting(self.image.hash) is None:
            why = "its bootloader refused the image, as of a maker or board that it does not know"
        else:
            why = "the new firmware started and did not stay up"
        return Reverted(
            f"{self.node.name} did not keep {self.image.version}: {why}; {runs}",
            hint="is it signed with the key of this board's bootloader?",
        )
