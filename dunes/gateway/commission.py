"""Find devices, provision and configure them, several at once; go on where it was left.

A worker per link takes, as it is heard: a device that advertises to be provisioned, or a node
of ours that is not configured and advertises its identity. What then is left is asked through
any proxy of the network. Whatever happens to one node, the rest goes on.

How far each node is lies in the store: `GRANTED` (keys and address may have reached it),
`PROVISIONED`, the number of configured steps, `CONFIGURED`. So a killed run resumes, and a
run with nothing to do does nothing.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dunes.ble.errors import NoRadio, RadioLost
from dunes.ble.radio import Advertisement, Service
from dunes.errors import DunesError, PeerError
from dunes.gateway.dialogue import ProvisioningRefused
from dunes.gateway.linkwork import over
from dunes.gateway.names import choose_name
from dunes.gateway.outcome import Commissioned, Outcome, Stage, Told
from dunes.gateway.proxies import NoProxy, Proxies
from dunes.gateway.runner import Runner
from dunes.gateway.waiting import NoAnswer, NotConfigured
from dunes.gateway.wish import Wish
from dunes.mesh.beacon import Identification, read_proxy_service_data
from dunes.mesh.managerstate import KnownNode, Progress
from dunes.mesh.models.config_node import CompositionGet, ProxySet, RelaySet
from dunes.mesh.provisionings import Invitation
from dunes.mesh.wire import Message

UUID_BYTES = 16
CONNECT_S = 25.0
IDENTITY_S = 8.0
"""How long a node just provisioned is awaited under its identity."""
LOOK_S = 0.25
"""A worker looks around at least so often whether there is still something to do."""
TRIES = 3
AGAIN_S = 1.0
"""After a lost link: how long a device is left alone."""
PROXY_S = 20.0
AT_ONCE = 4
"""Nodes configured at once through one proxy: more would only collide on the air."""
FAR_ROUNDS = 3


FEATURES: Mapping[type[Message], str] = {RelaySet: "relay", ProxySet: "be a proxy"}
"""Features whose want is worth a word; that few nodes can be a friend is not."""


@dataclass(slots=True)
class Commissioner:
    """One run.

    Attributes:
        runner: carries it.
        proxies: the way to nodes that have no link of their own.
        wish: what is asked for.
        tell: told each change of a node.
    """

    runner: Runner
    proxies: Proxies
    wish: Wish
    tell: Callable[[Told], None] = lambda _told: None
    outcomes: dict[bytes, Outcome] = field(default_factory=dict)
    _busy: set[bytes] = field(default_factory=set)
    _ours: set[bytes] = field(default_factory=set)
    _tries: dict[bytes, int] = field(default_factory=dict)
    _not_before_s: dict[bytes, float] = field(default_factory=dict)
    _news_s: float = 0.0
    _changed: int = 0
    _called: dict[bytes, str] = field(default_factory=dict)
    _begun: set[int] = field(default_factory=set)
    _brought: set[int] = field(default_factory=set)

    # ---------------------------------------------------------------- the run

    async def run(self) -> Commissioned:
        """Do it; the report tells what became of every node.

        Raises:
            NoRadio: the adapter is gone.
            StorageError: state cannot be kept.
        """
        before = self.good()
        if self._missing() > 0 or self._unfinished():
            await self._around()
        await self._through_proxy()
        await self.runner.flush()
        return self.report(before)

    def report(self, before: int) -> Commissioned:
        """Say how things stand; `before`: nodes that were done when it began."""
        for node in self._nodes():
            if node.progress is not Progress.CONFIGURED and node.uuid not in self.outcomes:
                self._fail(node.uuid, node.name, node.unicast, "not reached")
        return Commissioned(
            wanted=self.wish.nodes,
            configured=self.good(),
            before=before,
            outcomes=tuple(self.outcomes.values()),
            changed=self._changed,
        )

    async def _around(self) -> None:
        workers = self.wish.parallel or self.runner.radio.links_max
        self._news_s = asyncio.get_running_loop().time()
        async with self.runner.sightings.watching():
            tasks = [asyncio.create_task(self._work()) for _ in range(workers)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        while self._more():
            claimed: list[tuple[bytes, KnownNode | None]] = []

            def claim(
                heard: Advertisement, claimed: list[tuple[bytes, KnownNode | None]] = claimed
            ) -> bool:
                found = self._wanted(heard)
                if found is None:
                    return False
                claimed.append(found)
                self._busy.add(found[0])
                return True

            heard = await self.runner.sightings.find(claim, timeout_s=LOOK_S)
            if heard is None:
                continue
            uuid, node = claimed[0]
            try:
                await self._one(heard, uuid, node)
            except NoRadio:
                raise
            except RadioLost as error:
                self._again(uuid, error)
            except PeerError as error:
                self._refused(uuid, error)
            finally:
                self._busy.discard(uuid)
                now_s = asyncio.get_running_loop().time()
                self._news_s = max(self._news_s, now_s, self._not_before_s.get(uuid, now_s))

    def _more(self) -> bool:
        """Say whether a worker has to go on looking."""
        self.runner.check()
        if self._busy:
            return self._missing() > 0 or bool(self._unfinished())
        if self._missing() <= 0 and not self._unfinished():
            return False
        return asyncio.get_running_loop().time() - self._news_s < self.wish.quiet_s

    # ---------------------------------------------------------------- what to take

    def _wanted(self, heard: Advertisement) -> tuple[bytes, KnownNode | None] | None:
        """Say which device or node this is, if it is to be taken now."""
        if heard.unprovisioned is not None and heard.proxy is None:
            uuid = heard.unprovisioned[:UUID_BYTES]
            short = len(uuid) < UUID_BYTES
            if short or self._missing() <= 0 or uuid in self._ours or not self._free(uuid):
                return None
            return uuid, None
        unfinished = {node.unicast: node for node in self._unfinished() if self._free(node.uuid)}
        if heard.proxy is None or not unfinished:
            return None
        unicast = self._identity(heard, unfinished)
        return None if unicast is None else (unfinished[unicast].uuid, unfinished[unicast])

    def _free(self, uuid: bytes) -> bool:
        if uuid in self._busy or self._tries.get(uuid, 0) >= TRIES:
            return False
        return self._not_before_s.get(uuid, 0.0) <= asyncio.get_running_loop().time()

    def _identity(self, heard: Advertisement, unicasts: dict[int, KnownNode]) -> int | None:
        if not heard.proxy or heard.proxy[0] not in (
            Identification.NODE_IDENTITY,
            Identification.PRIVATE_NODE,
        ):
            return None
        keys = self.runner.manager.stack.keys
        seen = read_proxy_service_data(keys, heard.proxy, unicasts)
        return None if seen is None else seen.unicast

    def _nodes(self) -> list[KnownNode]:
        return list(self.runner.manager.nodes.values())

    def good(self) -> int:
        """Count the nodes that are what they shall be."""
        return sum(node.progress is Progress.CONFIGURED for node in self._nodes())

    def _unfinished(self) -> list[KnownNode]:
        return [
            node
            for node in self._nodes()
            if node.progress is not Progress.CONFIGURED and self._tries.get(node.uuid, 0) < TRIES
        ]

    def _missing(self) -> int:
        """Count the devices that are still to be taken in."""
        known = {n.uuid for n in self._nodes() if n.progress is not Progress.GRANTED}
        return self.wish.nodes - len(known | self._busy)

    # ---------------------------------------------------------------- one node

    async def _one(self, heard: Advertisement, uuid: bytes, node: KnownNode | None) -> None:
        if node is None:
            if await self._answers_already(uuid):
                raise ProvisioningRefused(
                    "a device with the UUID of a node of ours, and that node answers: a copy"
                )
            node = await self._provision(heard, uuid)
            await self._own_link(node)
        else:
            if node.progress is Progress.GRANTED:
                node = self.runner.update_node(node, progress=Progress.PROVISIONED)
                node = self._named(node, heard.name)
                self._say(node, Stage.PROVISIONED, "found again by its identity")
            self._ours.add(uuid)
            await self._configure_over(heard.address, node)

    async def _answers_already(self, uuid: bytes) -> bool:
        """Ask a node that we have under this UUID whether it is still there."""
        known = [
            node
            for node in self._nodes()
            if node.uuid == uuid and node.progress is not Progress.GRANTED
        ]
        if not known:
            return False
        try:
            async with self.proxies.kept():
                await self.proxies.ready(PROXY_S / 4)
                await self.runner.request(known[0].unicast, CompositionGet(0), tries=1)
        except (NoAnswer, NoProxy):
            return False
        return True

    async def _provision(self, heard: Advertisement, uuid: bytes) -> KnownNode:
        self._called[uuid] = choose_name(heard.name, 0, ()) if heard.name else ""
        self._tell(uuid, self._called[uuid], 0, Stage.FOUND, heard.address)
        invitation = Invitation(uuid, self.wish.oob_of(uuid), self.wish.attention_s)
        async with self.runner.link(
            heard.address, Service.PROVISIONING, timeout_s=CONNECT_S
        ) as number:
            node = await self.runner.provision(number, invitation, ask=self.wish.ask)
        self._ours.add(uuid)
        self.runner.sightings.forget(heard.address)
        node = self._named(node, heard.name)
        self._say(node, Stage.PROVISIONED, "")
        return node

    async def _own_link(self, node: KnownNode) -> None:
        """Configure a node just provisioned over its own link; else it is left for a proxy."""
        mine = {node.unicast: node}
        heard = await self.runner.sightings.find(
            lambda each: self._identity(each, mine) is not None, timeout_s=IDENTITY_S
        )
        if heard is not None:
            await self._configure_over(heard.address, node)

    async def _configure_over(self, address: str, node: KnownNode) -> None:
        try:
            async with self.runner.link(address, Service.PROXY, timeout_s=CONNECT_S) as number:
                await self.runner.proxy(number, node=node.unicast)
                await over(self.runner, number, self._configure(node))
        except (NoAnswer, NotConfigured) as error:
            self._again(node.uuid, error)

    async def _configure(self, node: KnownNode, *, anew: bool = False) -> None:
        plan = self.wish.plan_of(node)
        if self.wish.begin(node, plan) or anew:
            node = self.runner.update_node(node, step=0)
        done = await self.runner.configure(
            node.unicast,
            plan,
            on_step=lambda step: self._say(node, Stage.STEP, f"step {step.done} of {step.total}"),
        )
        cannot = ", ".join(
            FEATURES[type(each)] for each in done.unsupported if type(each) in FEATURES
        )
        self.outcomes.pop(node.uuid, None)
        self._brought.add(node.unicast)
        self._changed += node.unicast in self.wish.anew
        self.wish.on_configured(self.runner.manager.nodes[node.unicast])
        self._say(node, Stage.CONFIGURED, f"it cannot {cannot}" if cannot else "")

    def _named(self, node: KnownNode, heard: str | None) -> KnownNode:
        taken = {each.name for each in self._nodes() if each.unicast != node.unicast}
        name = node.name or choose_name(heard, node.unicast, taken)
        return self.runner.update_node(node, name=name)

    # ---------------------------------------------------------------- through any proxy

    async def _through_proxy(self) -> None:
        """Reach what is left through whichever proxy of the network, more than once if need be.

        A node that fell silent in the middle goes on at its step.
        """
        for last in (False,) * (FAR_ROUNDS - 1) + (True,):
            left = [node for node in self._nodes() if self._left(node)]
            if not left:
                return
            try:
                async with self.proxies.kept():
                    await self.proxies.ready(PROXY_S)
                    slots = asyncio.Semaphore(AT_ONCE)
                    await asyncio.gather(*(self._far(node, slots, last=last) for node in left))
            except NoProxy as error:
                for node in left:
                    self._fail(node.uuid, node.name, node.unicast, error.message)
                return

    def _left(self, node: KnownNode) -> bool:
        if node.progress is not Progress.CONFIGURED:
            return True
        return node.unicast in self.wish.anew and node.unicast not in self._brought

    async def _far(self, node: KnownNode, slots: asyncio.Semaphore, *, last: bool) -> None:
        async with slots:
            half = node.progress is Progress.GRANTED
            try:
                if half:
                    await self.runner.request(node.unicast, CompositionGet(0), tries=2)
                    node = self.runner.update_node(node, progress=Progress.PROVISIONED)
                    node = self._named(node, None)
                    self._say(node, Stage.PROVISIONED, "it answers: it had taken its keys")
                    half = False
                anew = node.unicast in self.wish.anew and node.unicast not in self._begun
                self._begun.add(node.unicast)
                await self._configure(node, anew=anew)
            except (NoAnswer, NotConfigured, PeerError) as error:
                said = "half-provisioned, and silent: bring it near, or reset it; " if half else ""
                if last or half:
                    self._fail(node.uuid, node.name, node.unicast, said + error.message)
                else:
                    self._say(node, Stage.AGAIN, error.message)

    # ---------------------------------------------------------------- what is said

    def _again(self, uuid: bytes, error: DunesError) -> None:
        """Note that a try failed; there may be another."""
        self._tries[uuid] = self._tries.get(uuid, 0) + 1
        loop = asyncio.get_running_loop()
        self._not_before_s[uuid] = loop.time() + AGAIN_S * self._tries[uuid]
        node = next((each for each in self._nodes() if each.uuid == uuid), None)
        name, unicast = ("", 0) if node is None else (node.name, node.unicast)
        name = name or self._called.get(uuid, "")
        if self._tries[uuid] >= TRIES:
            self._fail(uuid, name, unicast, error.message)
        else:
            self._tell(uuid, name, unicast, Stage.AGAIN, error.message)

    def _refused(self, uuid: bytes, error: DunesError) -> None:
        """Note that a device is not to be had: another try would not help."""
        self._tries[uuid] = TRIES
        self._fail(uuid, "", 0, error.message)

    def _fail(self, uuid: bytes, name: str, unicast: int, reason: str) -> None:
        name = name or self._called.get(uuid, "")
        self.outcomes[uuid] = Outcome(uuid.hex(), name, unicast, reason)
        self._tell(uuid, name, unicast, Stage.FAILED, reason)

    def _say(self, node: KnownNode, stage: Stage, detail: str) -> None:
        self._tell(node.uuid, node.name, node.unicast, stage, detail)

    def _tell(self, uuid: bytes, name: str, unicast: int, stage: Stage, detail: str) -> None:
        self.tell(Told(uuid.hex(), name, unicast, stage, detail, self.good(), self.wish.nodes))
