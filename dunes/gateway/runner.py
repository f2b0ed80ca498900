"""The pump between a radio and a `Manager`: links, timers, durable state, requests.

    async with Runner(manager, radio, keeper) as runner:
        async with runner.link(address, Service.PROVISIONING, timeout_s=20) as number:
            node = await runner.provision(number, invitation)
        async with runner.link(address, Service.PROXY, timeout_s=20) as number:
            await runner.proxy(number, node=node.unicast)
            await runner.configure(node.unicast, plan)
        answer = await runner.request(0x0005, OnOffGet(), app_index=0)

Nothing is sent before what it rests on is on the disk (`keeping`). An error of the disk, or a
bug, ends the runner and everybody who waits on it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from dunes.ble.radio import Radio, Service
from dunes.errors import LocalError
from dunes.gateway.dialogue import Ask, Provisionings, nobody
from dunes.gateway.keeper import Keeper
from dunes.gateway.keeping import Keeping
from dunes.gateway.links import Carrier
from dunes.gateway.sightings import Sightings
from dunes.gateway.waiting import NoAnswer, Waiting
from dunes.mesh.configurator import Configurator, Configured, StepDone
from dunes.mesh.links import LinkRefused
from dunes.mesh.manager import Manager, ManagerEvent, Received
from dunes.mesh.managerstate import KnownNode
from dunes.mesh.procedure import Plan
from dunes.mesh.provisionings import Invitation, NodeProvisioned, ProvisioningSaid
from dunes.mesh.proxyclient import ProxyReady
from dunes.mesh.requests import Answered, Unanswered
from dunes.mesh.stack import ControlReceived
from dunes.mesh.state import Store
from dunes.mesh.wire import Message

PROXY_S = 12.0
"""A proxy that answers nothing for that long is none."""
HEARD_MAX = 4096
FLUSH_S = 1.0


class Runner:
    """One gateway at work.

    Args:
        manager: its protocol core.
        radio: what carries it; the runner does not close it.
        keeper: makes state and messages durable.
        note: told what an operator may want to know.

    Attributes:
        sightings: what the radio hears, shared.
        heard: by element address: when it was last heard (loop seconds), and hops left.
        on_event: told every event of the manager but stores and configuration steps.
        on_kept: told the keeper's items once they are on the disk.
        failure: why the runner cannot go on.
    """

    def __init__(
        self,
        manager: Manager,
        radio: Radio,
        keeper: Keeper,
        *,
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.manager, self.radio, self.note = manager, radio, note
        self.sightings = Sightings(radio)
        self.heard: OrderedDict[int, tuple[float, int]] = OrderedDict()
        self.on_event: list[Callable[[ManagerEvent], None]] = []
        self.on_kept: list[Callable[[Sequence[Any]], None]] = []
        self.failure: BaseException | None = None
        self._failed = asyncio.Event()
        self._keeping = Keeping(keeper, self._stored, self._kept)
        self._configurator = Configurator(manager)
        self._dialogue = Provisionings(manager, self._spawn)
        self._waiting = Waiting()
        self._carriers: dict[int, Carrier] = {}
        self._number = 0
        self._slots = asyncio.Semaphore(radio.links_max)
        self._kick = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    # ---------------------------------------------------------------- life

    async def __aenter__(self) -> Self:
        """Begin to run."""
        self._spawn(self._drive())
        self._spawn(self._keeping.run())
        self._kick.set()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Hang up, keep what came, and end."""
        for carrier in list(self._carriers.values()):
            await carrier.flush(FLUSH_S)
        for number in list(self._carriers):
            await self._hang_up(number)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.failure is not None:
            self._keeping.abandon()
            return
        self._drain(asyncio.get_running_loop().time())
        await self._keeping.close()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End everybody who waits: nothing can be kept, or we have a bug."""
        if self.failure is not None:
            return
        self.failure = error
        self._dialogue.fail(error)
        self._waiting.fail(error)
        self._keeping.room.set()
        self._failed.set()

    async def failed(self) -> None:
        """Wait until the runner cannot go on; raises why."""
        await self._failed.wait()
        self.check()

    def check(self) -> None:
        """Raise what ended the runner, if anything did."""
        if self.failure is not None:
            raise self.failure

    # ---------------------------------------------------------------- links

    @asynccontextmanager
    async def link(
        self, address: str, service: Service, *, timeout_s: float
    ) -> AsyncIterator[int]:
        """Connect, as soon as the radio has a link to spare; hang up at the end.

        Raises:
            RadioLost: not in reach, or it hung up each time.
            PeerError: it does not have the service.
        """
        async with self._slots:
            link = await self.radio.connect(address, service, timeout_s=timeout_s)
            self._number += 1
            number = self._number
            self._carriers[number] = Carrier(
                number, link, self._value, self._gone, self._fail, self._keeping.room
            )
            self._carriers[number].start()
            try:
                yield number
            finally:
                await asyncio.shield(self._hang_up(number))

    async def _hang_up(self, number: int) -> None:
        carrier = self._carriers.pop(number, None)
        if carrier is not None:
            await carrier.close()
        self._gone(number, "we hung up")

    def _value(self, number: int, value: bytes) -> None:
        self.manager.receive_pdu(number, value, asyncio.get_running_loop().time())
        self._kick.set()

    def _gone(self, number: int, reason: str) -> None:
        """Take that a link is gone; who uses it is told through what it waits for."""
        self.manager.closed(number, asyncio.get_running_loop().time())
        self._dialogue.lost(number, reason)
        self._waiting.link_lost(number, reason)
        self._kick.set()

    async def lost(self, number: int) -> None:
        """Wait until a proxy's link is gone, or the runner cannot go on."""
        if number in self.manager.proxies.links:
            await self._waiting.lost.setdefault(number, asyncio.Event()).wait()
        self.check()

    def probe(self, number: int) -> None:
        """Ask a proxy for a sign of life; whatever it says counts in `values_of`."""
        self._carrier(number)
        self.manager.proxies.probe(number)
        self._kick.set()

    def values_of(self, number: int) -> int:
        """Count the values that came by a link; 0 where it is gone."""
        carrier = self._carriers.get(number)
        return 0 if carrier is None else carrier.values

    @property
    def online(self) -> bool:
        """Say whether a proxy carries our messages."""
        return any(each.ready for each in self.manager.proxies.links.values())

    # ---------------------------------------------------------------- what users do

    async def provision(
        self, number: int, invitation: Invitation, *, ask: Ask = nobody
    ) -> KnownNode:
        """Provision the device on a link.

        Args:
            number: the link, to the provisioning service.
            invitation: which device, and how.
            ask: given what is to be typed in or shown.

        Raises:
            ProvisioningRefused: it came to nothing, and why.
            RadioLost: the link was lost in the middle.
        """
        room_bytes = self._carrier(number).link.room_bytes
        now_s = asyncio.get_running_loop().time()
        self.manager.open_provisioning(number, room_bytes, invitation, now_s)
        done = self._dialogue.begin(number, ask)
        self._kick.set()
        return await done

    async def proxy(self, number: int, *, node: int | None = None) -> None:
        """Use a link to a proxy; it has answered when this returns.

        Raises:
            NoAnswer: it did not.
            RadioLost: the link was lost.
        """
        carrier, loop = self._carrier(number), asyncio.get_running_loop()
        self.manager.open_proxy(number, carrier.link.room_bytes, loop.time(), node=node)
        ready = self._waiting.ready[number] = loop.create_future()
        self._kick.set()
        try:
            async with asyncio.timeout(PROXY_S):
                await ready
        except TimeoutError as error:
            silent = f"the proxy at {carrier.link.address} does not answer our filter"
            raise NoAnswer(silent) from error
        finally:
            self._waiting.ready.pop(number, None)

    async def request(self, dst: int, message: Message, **how: Any) -> Message:
        """Ask a node and give its answer; see `Manager.request`.

        Raises:
            NoAnswer: it stayed silent.
            NotFound: no node has that address.
        """
        self.check()
        number = self.manager.request(dst, message, **how)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Message] = loop.create_future()
        self._waiting.answers[number] = answer
        self._kick.set()
        try:
            return await answer
        finally:
            self._waiting.answers.pop(number, None)

    def send(self, dst: int, message: Message, **how: Any) -> int:
        """Send once, without an answer; gives the handle of its `Sent` event."""
        self.check()
        handle = self.manager.send(dst, message, **how)
        self._kick.set()
        return handle

    async def configure(
        self,
        unicast: int,
        plan: Plan,
        *,
        anew: bool = False,
        on_step: Callable[[StepDone], None] = lambda _step: None,
    ) -> Configured:
        """Make a node what a plan says, from where it was left.

        Raises:
            NotConfigured: a step was refused or not answered.
        """
        self.check()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Configured] = loop.create_future()
        self._waiting.configured[unicast] = done
        self._waiting.steps[unicast] = on_step
        self._configurator.begin(unicast, plan, anew=anew)
        self._kick.set()
        try:
            return await done
        finally:
            self._waiting.configured.pop(unicast, None)
            self._waiting.steps.pop(unicast, None)
            self._configurator.stop(unicast)
            self.manager.requests.drop(unicast)

    def update_node(self, node: KnownNode, **changes: Any) -> KnownNode:
        """Keep what is known of a node now."""
        now = replace(self.manager.nodes.get(node.unicast, node), **changes)
        self.manager.update_node(now)
        self._kick.set()
        return now

    async def flush(self) -> None:
        """Wait until everything so far is on the disk."""
        self._drain(asyncio.get_running_loop().time())
        self._kick.set()
        await self._keeping.flush()
        self.check()

    def wake(self) -> None:
        """Look at the manager again: somebody changed something directly."""
        self._kick.set()

    def _carrier(self, number: int) -> Carrier:
        self.check()
        if number not in self._carriers:
            raise LocalError(f"there is no link {number}")
        return self._carriers[number]

    # ---------------------------------------------------------------- the pump

    async def _drive(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            timer_s = self.manager.next_timer_s()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(timer_s):
                    await self._kick.wait()
            self._kick.clear()
            now_s = loop.time()
            if timer_s is not None and timer_s <= now_s:
                self.manager.handle_timer(now_s)
            self._drain(now_s)
            for out in self.manager.pdus_to_send(now_s):
                carrier = self._carriers.get(out.link)
                if carrier is not None:
                    carrier.send(out.data)
            self._drain(now_s)
            await asyncio.sleep(0)

    def _stored(self, ticket: int) -> None:
        self.manager.stored(ticket, asyncio.get_running_loop().time())
        self._kick.set()

    def _kept(self, items: Sequence[Any]) -> None:
        for listener in self.on_kept:
            listener(items)

    def _drain(self, now_s: float) -> None:
        while (event := self.manager.next_event()) is not None:
            if isinstance(event, Store):
                self._keeping.add(event)
            elif not self._configurator.receive(event):
                self._event(event, now_s)
            while (said := self._configurator.next_event()) is not None:
                self._waiting.configuration(said)

    def _event(self, event: ManagerEvent, now_s: float) -> None:
        match event:
            case Received():
                self._note_heard(event.access.src, now_s, event.access.ttl)
                self._keeping.take(event)
            case Answered() | Unanswered():
                self._waiting.answered(event)
                if isinstance(event, Answered):
                    self._note_heard(event.dst, now_s, 0)
            case NodeProvisioned() | ProvisioningSaid():
                self._dialogue.receive(event)
            case ProxyReady():
                self._waiting.proxy_ready(event.link)
            case LinkRefused():
                self.note(f"link {event.link} ended: {event.reason}")
                self._gone(event.link, event.reason)
            case ControlReceived():
                self._note_heard(event.src, now_s, event.ttl)
        for listener in self.on_event:
            listener(event)

    def _note_heard(self, src: int, now_s: float, ttl: int) -> None:
        self.heard.pop(src, None)
        self.heard[src] = now_s, ttl
        if len(self.heard) > HEARD_MAX:
            self.heard.popitem(last=False)
