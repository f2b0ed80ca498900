"""One mesh, opened for use: its store, a radio, the runner, a way in.

    async with open_gateway(settings, ble=None, holder="dunes mesh-send") as gateway:
        await gateway.reach(timeout_s=20)
        answer = await gateway.runner.request(...)

Whoever holds it is the one program that uses this mesh and this radio.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import SystemRandom

from dunes.authority.masking import mask_of
from dunes.ble.opening import open_radio
from dunes.ble.radio import Radio
from dunes.buffer.appender import Appender, State
from dunes.buffer.keyring import Keyring
from dunes.buffer.store import Buffer, open_buffer
from dunes.clock import SYSTEM_CLOCK
from dunes.errors import NotFound
from dunes.gateway.bridge import Bridge
from dunes.gateway.devicelinks import count_elements
from dunes.gateway.feed import FeedKeeper, StoreKeeper
from dunes.gateway.proxies import Proxies
from dunes.gateway.readings import Readings
from dunes.gateway.runner import Runner
from dunes.gateway.store import MeshStore
from dunes.mesh.manager import Manager
from dunes.mesh.managerstate import ManagerState
from dunes.settings import Settings
from dunes.site import Site, running_site

DEFAULT_MESH = "mesh-001"


@dataclass(slots=True)
class Gateway:
    """What a command works with.

    Attributes:
        settings: as loaded.
        store: the mesh's state.
        radio: the adapter.
        runner: at work.
        proxies: the way in.
        readings: turns messages into readings.
        bridge: turns readings of linked devices into messages.
        appender: writes the table; None where nobody listens.
        note: told what an operator may want to know.
    """

    settings: Settings
    store: MeshStore
    radio: Radio
    runner: Runner
    proxies: Proxies
    readings: Readings
    bridge: Bridge
    appender: Appender | None = None
    note: Callable[[str], None] = field(default=lambda _text: None)

    @property
    def manager(self) -> Manager:
        """Give the protocol core."""
        return self.runner.manager

    def relink(self) -> None:
        """Take the links that the store has now."""
        self.manager.grow(count_elements(self.store.links()))
        self.bridge.relink(self.store.linked())

    async def reach(self, *, timeout_s: float) -> None:
        """Wait until a proxy carries messages; within `proxies.kept`.

        Raises:
            NoProxy: none was heard in time.
        """
        await self.proxies.ready(timeout_s)


def choose_mesh(settings: Settings, site: Site | None, wanted: str | None) -> str:
    """Say which mesh is meant where one may have to be made.

    What was asked for, else what is configured, else the only one there is, else what the
    simulated site's is called, else `mesh-001`.
    """
    if wanted or settings["mesh.id"]:
        return wanted or str(settings["mesh.id"])
    try:
        with MeshStore.open(settings, write=False) as known:
            return known.mesh_id
    except NotFound:
        return DEFAULT_MESH if site is None else f"{site.name}-ble-001"


def _known(settings: Settings, mesh_id: str, *, holder: str, create: bool) -> MeshStore | None:
    """Open a mesh for writing; None where it has to be made first."""
    try:
        return MeshStore.open(settings, mesh_id, holder=holder)
    except NotFound:
        if not create:
            raise
        return None


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    *,
    holder: str,
    mesh_id: str = "",
    create: bool = False,
    ble: str | None = None,
    table: str | None = None,
    note: Callable[[str], None] = lambda _text: None,
    warn: Callable[[str], None] = lambda _text: None,
) -> AsyncIterator[Gateway]:
    """Open a mesh, its radio, and run.

    Args:
        settings: as loaded.
        holder: the command, for whoever finds the mesh in use.
        mesh_id: its name; empty: as configured.
        create: make it if it is not there.
        ble: the radio; None: as configured.
        table: where telemetry goes; None: it is not kept.
        note: told what an operator may want to know.
        warn: told what an operator has to know.
    """
    site = running_site(settings.paths)
    async with AsyncExitStack() as stack:
        store = _known(settings, mesh_id, holder=holder, create=create)
        if store is not None:
            stack.enter_context(store)
        radio = await open_radio(ble, settings=settings, site=site)
        stack.push_async_callback(radio.close)
        if store is None:  # made only where there is a radio for it
            state = ManagerState.new(SystemRandom())
            store = MeshStore.create(settings, mesh_id, state, holder=holder)
            stack.enter_context(store)
        for said in store.notes:
            note(said)
        loop = asyncio.get_running_loop()
        manager = Manager.start(store.load(), SystemRandom(), now_s=loop.time())
        readings = Readings(
            _node_of(manager),
            SYSTEM_CLOCK.unix_us,
            store.fingerprinter(),
            simulated=radio.simulated,
        )
        keeper: StoreKeeper = StoreKeeper(store, readings)
        appender = None
        if table is not None:
            buffer, appender = _appender(settings, table, note, warn)
            stack.enter_context(buffer)
            readings.remember(store.alerts())
            keeper = FeedKeeper(store, readings, appender, warn)
        runner = await stack.enter_async_context(Runner(manager, radio, keeper, note=note))
        manager.listen(store.labels())
        proxies = Proxies(runner)
        numbers = {each.element: each.sequence for each in store.links()}
        bridge = Bridge(radio.simulated, store.linked(), numbers)
        yield Gateway(settings, store, radio, runner, proxies, readings, bridge, appender, note)


def _node_of(manager: Manager) -> Callable[[int], tuple[int, str] | None]:
    def node_of(address: int) -> tuple[int, str] | None:
        try:
            node = manager.node_of(address)
        except NotFound:
            return None
        return node.unicast, node.name or f"node-{node.unicast:04x}"

    return node_of


def _appender(
    settings: Settings,
    table: str,
    note: Callable[[str], None],
    warn: Callable[[str], None],
) -> tuple[Buffer, Appender]:
    keys = Keyring.load(settings, create=True)
    kid = "" if keys.identity is None else keys.identity.kid
    buffer = open_buffer(settings, settings["gateway.id"] or f"gw-{kid[:12]}")

    def on_state(state: State, message: str) -> None:
        (note if state is State.OK else warn)(f"{buffer.where}: {message}")

    appender = Appender(
        buffer,
        table,
        signer=None if keys.identity is None else keys.identity.signing,
        make_sealer=keys.make_sealer,
        rewrite=mask_of(settings.paths, table),
        on_state=on_state,
    )
    return buffer, appender
