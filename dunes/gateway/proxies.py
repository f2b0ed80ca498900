"""A proxy of the network, whichever: kept while somebody needs one, and found anew when lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from dunes.ble.errors import RadioLost
from dunes.ble.radio import Advertisement, Service
from dunes.errors import PeerError, Unavailable
from dunes.gateway.linkwork import watch
from dunes.gateway.runner import Runner
from dunes.gateway.waiting import NoAnswer

CONNECT_S = 15.0
LOOK_S = 5.0
CHOICE_S = 0.3
"""After the first proxy heard: how long to listen for a louder one."""
AVOID_S = 10.0
"""A proxy that failed is left alone for that long, if there are others."""
PAUSE_S = 0.5
QUIET_S, ANSWER_S = 20.0, 6.0
"""A proxy that said nothing for that long is asked whether it lives, and has that long."""
QUIET_DBM = -127


class NoProxy(Unavailable):
    """No proxy of the network is in reach."""

    code = "no-proxy"


@dataclass(slots=True)
class Proxies:
    """The gateway's way into its network.

    Attributes:
        runner: whose network.
        address: of the proxy in use; empty without one.
    """

    runner: Runner
    address: str = ""
    _users: int = 0
    _task: asyncio.Task[None] | None = None
    _up: asyncio.Event = field(default_factory=asyncio.Event)
    _again: asyncio.Event = field(default_factory=asyncio.Event)
    _avoid: dict[str, float] = field(default_factory=dict)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep a proxy connected while the context lasts; contexts share it."""
        self._users += 1
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name="mesh proxy")
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                task, self._task = self._task, None
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def ready(self, timeout_s: float) -> None:
        """Wait until messages flow; call within `kept`.

        Raises:
            NoProxy: none was found in time.
            NoRadio: the adapter is gone.
        """
        task = self._task
        if task is None:
            raise NoProxy("nobody looks for a proxy")
        up = asyncio.create_task(self._up.wait())
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.wait({up, task}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            raise NoProxy(
                f"no proxy of the mesh was heard in {timeout_s:g} s",
                hint="go nearer, or see that a node with GATT Proxy on has power",
            ) from error
        finally:
            up.cancel()
        if task.done() and not task.cancelled():
            await task

    def renew(self) -> None:
        """Hang up, and look for a proxy anew: this one may have left the network."""
        self._avoid[self.address] = asyncio.get_running_loop().time() + AVOID_S
        self._again.set()

    async def failed(self) -> None:
        """Wait until no proxy can be looked for any more; raises why. Call within `kept`."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _keep(self) -> None:
        while True:
            found = await self._look()
            if found is None:
                continue
            try:
                await self._use(found)
            except (RadioLost, NoAnswer, PeerError) as error:
                self.runner.note(f"proxy {found.address}: {error.message}")
                loop = asyncio.get_running_loop()
                self._avoid[found.address] = loop.time() + AVOID_S
            await asyncio.sleep(PAUSE_S)

    async def _use(self, found: Advertisement) -> None:
        async with self.runner.link(found.address, Service.PROXY, timeout_s=CONNECT_S) as number:
            await self.runner.proxy(number)
            self.address = found.address
            self._up.set()
            self._again.clear()
            watched = asyncio.create_task(
                watch(self.runner, number, quiet_s=QUIET_S, answer_s=ANSWER_S)
            )
            again = asyncio.create_task(self._again.wait())
            try:
                await asyncio.wait({watched, again}, return_when=asyncio.FIRST_COMPLETED)
                if watched.done():
                    await watched
            finally:
                self._up.clear()
                self.address = ""
                watched.cancel()
                again.cancel()
                await asyncio.gather(watched, again, return_exceptions=True)
        if self._again.is_set():
            await self.runner.radio.forget(found.address)  # it may be a new device by now
        self.runner.note(f"proxy {found.address} is lost; looking for another")

    async def _look(self) -> Advertisement | None:
        sightings = self.runner.sightings
        async with sightings.watching():
            first = await sightings.find(self._ours, timeout_s=LOOK_S)
            if first is None:
                self._avoid.clear()
                return None
            await asyncio.sleep(CHOICE_S)
            heard = [each for each, _ in sightings.seen.values() if self._ours(each)]
        return max([*heard, first], key=lambda each: each.rssi_dbm or QUIET_DBM)

    def _ours(self, advertisement: Advertisement) -> bool:
        if advertisement.proxy is None:
            return False
        now_s = asyncio.get_running_loop().time()
        if self._avoid.get(advertisement.address, 0.0) > now_s:
            return False
        return self.runner.manager.identify(advertisement.proxy) is not None
