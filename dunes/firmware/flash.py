"""Flash several nodes at once; each by itself, none spoils the others' turn."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from dunes.ble.errors import ServiceMissing
from dunes.errors import Denied, DunesError, UsageError
from dunes.firmware.catalogue import Firmware
from dunes.firmware.errors import BadImage, NodeSilent, Reason, Refused, Reverted
from dunes.firmware.image import parse_image
from dunes.firmware.manifest import SIMULATED_BOARD
from dunes.firmware.reach import Reached
from dunes.firmware.report import NodeRow
from dunes.firmware.rules import NodeFacts, Objection, allow, check_node, same_board
from dunes.firmware.session import Account, Result, Stage, Update
from dunes.firmware.shelf import Shelf
from dunes.firmware.smp import NodeImages, SmpNode

RESTART_S = 90.0
"""For a restart with its swap: an nRF52840 with two full slots takes about a minute."""
FIRST_LOOK_S = 20.0
"""For a node that nobody named: it may be no node of ours."""

Tell = Callable[[str, Stage, int, int], None]
"""Told a node, its stage, and the bytes that are there and in all."""


async def everybody(_node: str) -> None:
    """Let whoever asks flash whatever node: where nobody else is to be asked."""


@dataclass(slots=True)
class Flasher:
    """One firmware for many nodes.

    Args:
        shelf: all firmware.
        variants: the one that was named, for each board.
        force: the reason that is allowed.
        dry_run: ask and judge, change nothing.
        keep: confirm what runs well.
        timeout_s: for one node.
        tell: told how far each is.
        permit: asked for each node that is to be changed; raises for a no.
    """

    shelf: Shelf
    variants: Sequence[Firmware]
    force: Reason | None
    dry_run: bool
    keep: bool
    timeout_s: float
    tell: Tell = lambda _node, _stage, _done, _total: None
    permit: Callable[[str], Awaitable[None]] = everybody

    def check_variants(self) -> None:
        """Judge all variants by themselves, before any node is asked.

        Raises:
            Refused: none of them may be flashed.
        """
        refused: Refused | None = None
        for firmware in self.variants:
            try:
                allow(self.shelf.objections(firmware), self.force)
            except Refused as e:
                refused = refused or e
            else:
                return
        if refused is not None:
            raise refused

    async def flash_all(self, nodes: Sequence[Reached], parallel: int) -> list[NodeRow]:
        """Flash nodes, some at a time; gives a row for each."""
        turn = asyncio.Semaphore(parallel)

        async def one(node: Reached) -> NodeRow:
            async with turn:
                return await self.flash(node)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(node)) for node in nodes]
        return [task.result() for task in tasks]

    async def flash(self, node: Reached) -> NodeRow:
        """Flash one node; what goes wrong with it is in its row."""
        row = NodeRow(node.smp.name, node.way.value, simulated=node.simulated)
        began_s = time.monotonic()
        account = Account()
        work = _Work(self, node, row, account)
        try:
            await work.run()
        except ServiceMissing as e:
            work.ends("failed" if node.named else "no-smp", e)
        except (Denied, BadImage) as e:
            work.ends("refused", e)
        except Reverted as e:
            work.ends("reverted", e)
        except DunesError as e:
            silent = isinstance(e, NodeSilent) and not node.named and not work.row.board
            work.ends("no-smp" if silent else "failed", e)
        finally:
            await node.smp.close()
        return replace(
            work.row,
            sent_bytes=account.sent_bytes,
            resumed_bytes=account.resumed_bytes,
            breaks=account.breaks,
            duration_s=round(time.monotonic() - began_s, 3),
        )

    def pick(self, facts: NodeFacts) -> Firmware:
        """Give the variant for a node's board; where there is none, one that `rules` refuses.

        Raises:
            UsageError: another board is forced, and there are several to choose from.
        """
        for firmware in self.variants:
            if facts.board and same_board(firmware.manifest.board, facts.board):
                return firmware
        real = [f for f in self.variants if not f.manifest.simulated] or list(self.variants)
        if self.force is Reason.OTHER_BOARD and len(real) > 1:
            raise UsageError(
                f"which one for {facts.name}? there is one for each of "
                + ", ".join(f.manifest.board for f in real),
                hint="--board BOARD",
            )
        return real[0]

    def objections(self, firmware: Firmware, facts: NodeFacts) -> list[Objection]:
        """Judge a variant for a node."""
        return [*self.shelf.objections(firmware), *check_node(firmware.manifest, facts)]


class _Work:
    """One node's turn."""

    def __init__(self, flasher: Flasher, node: Reached, row: NodeRow, account: Account) -> None:
        self.flasher, self.node, self.row, self.account = flasher, node, row, account

    def ends(self, result: str, error: DunesError) -> None:
        """Note how it ended."""
        self.row = replace(
            self.row,
            result=result,
            code=error.code,
            message=error.message,
            hint=error.hint or "",
            exit=int(error.exit),
        )

    async def run(self) -> None:
        """Ask, judge, update."""
        smp = self.node.smp
        images, facts = await self._ask(smp)
        before = str(facts.version) if facts.version else ""
        self.row = replace(
            self.row,
            board=facts.board,
            before=before,
            now=before,
            simulated=self.node.simulated or facts.board == SIMULATED_BOARD,
        )
        firmware = self.flasher.pick(facts)
        manifest = firmware.manifest
        running = images.running
        same = running is not None and running.hash.hex() == manifest.image_hash
        if same and running is not None and running.confirmed:
            self.row = replace(self.row, result=Result.UP_TO_DATE)
            return
        objections = self.flasher.objections(firmware, facts)
        if not self.node.named and not same and self._not_for(objections, facts, firmware):
            return
        allow(objections, self.flasher.force)
        if self.flasher.dry_run:
            self.row = replace(self.row, result="would-update")
            return
        await self.flasher.permit(smp.name)
        image = parse_image(self.flasher.shelf.image(firmware))
        total = len(image.data)
        update = Update(
            smp,
            image,
            self.flasher.timeout_s,
            min(RESTART_S, self.flasher.timeout_s),
            lambda stage, done: self.flasher.tell(smp.name, stage, done, total),
            keep=self.flasher.keep,
        )
        result = await update.run(self.account)
        self.row = replace(self.row, result=result, now=str(image.version))

    def _not_for(self, objections: list[Objection], facts: NodeFacts, firmware: Firmware) -> bool:
        """Pass over a node that nobody named and that this firmware is not for."""
        reasons = {objection.reason for objection in objections}
        if Reason.OTHER_BOARD in reasons or Reason.SIMULATED in reasons:
            self.row = replace(self.row, result="other-board")
        elif facts.version is not None and facts.version >= firmware.manifest.version:
            self.row = replace(self.row, result="not-older")
        else:
            return False
        return True

    async def _ask(self, smp: SmpNode) -> tuple[NodeImages, NodeFacts]:
        """Ask a node what it is; one that was named is asked until time is up."""
        limit_s = self.flasher.timeout_s if self.node.named else FIRST_LOOK_S
        until_s = time.monotonic() + min(limit_s, self.flasher.timeout_s)
        smp.answer_s = min(smp.answer_s, self.flasher.timeout_s)
        while True:
            self.flasher.tell(smp.name, Stage.CONNECT, 0, 0)
            try:
                await smp.connect()
                images = await smp.images()
                return images, await smp.facts(images)
            except NodeSilent:
                await smp.close()
                if time.monotonic() > until_s:
                    raise
                await asyncio.sleep(0.2)
