"""Provisionings as a runner's users see them: one future each, and questions to people."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from dunes.ble.errors import RadioLost
from dunes.errors import PeerError, UsageError
from dunes.mesh.manager import Manager
from dunes.mesh.managerstate import KnownNode
from dunes.mesh.provisioning.events import ProvisioningFailed, Show, TypeIn
from dunes.mesh.provisionings import NodeProvisioned, ProvisioningSaid

Ask = Callable[[bytes, TypeIn | Show], Awaitable[str]]
"""Given a device's UUID and what is to be typed or shown; gives what was typed."""


class ProvisioningRefused(PeerError):
    """A device did not become a node: it refused, or it is not what it says."""

    code = "provisioning-failed"


async def nobody(_uuid: bytes, question: TypeIn | Show) -> str:
    """Answer for a gateway that nobody sits at.

    Raises:
        UsageError: always.
    """
    raise UsageError(f"nobody is here for a value by {question.action}")


@dataclass(slots=True)
class Provisionings:
    """All that are under way, by link.

    Attributes:
        manager: who speaks the protocol.
        spawn: runs a question beside everything else.
    """

    manager: Manager
    spawn: Callable[[Coroutine[Any, Any, Any]], None]
    _open: dict[int, tuple[asyncio.Future[KnownNode], Ask]] = field(default_factory=dict)

    def begin(self, link: int, ask: Ask) -> asyncio.Future[KnownNode]:
        """Note a provisioning; its future ends with the node, or why there is none."""
        done: asyncio.Future[KnownNode] = asyncio.get_running_loop().create_future()
        self._open[link] = done, ask
        return done

    def receive(self, event: NodeProvisioned | ProvisioningSaid) -> None:
        """Take what a provisioning says."""
        if event.link not in self._open:
            return
        done, ask = self._open[event.link]
        if isinstance(event, NodeProvisioned):
            self._end(event.link, event.node)
        elif isinstance(event.event, ProvisioningFailed):
            who = "the device: " if event.event.by_peer else ""
            self._end(event.link, ProvisioningRefused(who + event.event.message))
        elif isinstance(event.event, TypeIn | Show) and not done.done():
            self.spawn(self._question(event.link, event.uuid, event.event, ask))

    def lost(self, link: int, reason: str) -> None:
        """Take that a link is gone."""
        self._end(link, RadioLost(f"the link was lost: {reason}"))

    def fail(self, error: BaseException) -> None:
        """End all of them."""
        for link in list(self._open):
            self._end(link, error)

    def _end(self, link: int, how: KnownNode | BaseException) -> None:
        done, _ = self._open.pop(link, (None, None))
        if done is None or done.done():
            return
        if isinstance(how, BaseException):
            done.set_exception(how)
        else:
            done.set_result(how)

    async def _question(self, link: int, uuid: bytes, event: TypeIn | Show, ask: Ask) -> None:
        while link in self._open:
            try:
                text = await ask(uuid, event)
            except UsageError as error:
                self._end(link, ProvisioningRefused(error.message))
                return
            if isinstance(event, Show) or link not in self.manager.provisionings.jobs:
                return
            try:
                self.manager.provide(link, text, asyncio.get_running_loop().time())
            except UsageError:
                continue
            return
