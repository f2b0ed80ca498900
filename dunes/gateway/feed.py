"""The keeper of a listening gateway: readings and replay entries in one transaction.

A reading that was kept is kept with the replay entry that bars its message from coming again,
and an alert with what it is known by, as its node says it anew until that is acknowledged; one
that was not kept comes again after a restart only if its node says it again. So none is stored
twice, and none is believed stored that is not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from dunes.buffer.appender import Appender
from dunes.errors import StorageFull
from dunes.gateway.keeper import Taken
from dunes.gateway.readings import Item, Readings
from dunes.gateway.store import MeshStore
from dunes.mesh.manager import Received
from dunes.mesh.managerstate import KnownNode, NodeGone
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.state import Store
from dunes.model import Priority


def merged(stores: Sequence[Store]) -> Store:
    """Make one store of several: of each record the last, in the order of these."""
    changes: dict[object, Any] = {}
    for store in stores:
        for change in store.changes:
            key = _key(change)
            changes.pop(key, None)
            changes[key] = change
    blocking = any(store.before_sending for store in stores)
    return Store(stores[-1].ticket, tuple(changes.values()), blocking)


def _key(change: Any) -> object:
    match change:
        case ReplayEntry():
            return ReplayEntry, change.src
        case KnownNode() | NodeGone():
            return KnownNode, change.unicast
    return type(change)


@dataclass(slots=True)
class StoreKeeper:
    """Keeps a mesh's state, and notes when nodes were heard.

    Attributes:
        store: the mesh's.
        readings: knows which node a message is from.
    """

    store: MeshStore
    readings: Readings

    def take(self, received: Received) -> Taken:
        """Keep no reading."""
        self._seen(received)
        return Taken()

    def keep(self, stores: Sequence[Store], items: Sequence[Item]) -> Sequence[Item]:
        """Write the state."""
        del items
        if stores:
            self.store.apply(merged(stores))
        return ()

    def close(self) -> None:
        """Leave the store to whoever opened it."""

    def _seen(self, received: Received) -> None:
        node = self.readings.node_of(received.access.src)
        if node is not None:
            self.store.note_seen(node[0], self.readings.unix_us())


@dataclass(slots=True)
class FeedKeeper(StoreKeeper):
    """Keeps state and readings.

    Attributes:
        appender: writes the mesh's table; used in the keeper's thread alone.
        warn: told what an operator has to know.
    """

    appender: Appender
    warn: Callable[[str], None]
    _waiting: list[Item] = field(default_factory=list)
    """Without room for them: alerts, and what came together with them."""

    def take(self, received: Received) -> Taken:
        """Keep what a message measured; alerts are urgent."""
        self._seen(received)
        items = self.readings.read(received)
        urgent = any(
            each.ack is not None
            or (each.reading is not None and each.reading.priority is Priority.ALERT)
            for each in items
        )
        return Taken(items, urgent)

    def keep(self, stores: Sequence[Store], items: Sequence[Item]) -> Sequence[Item]:
        """Write both, in one transaction.

        Should there be no room even for alerts, they wait until there is, and the state is
        written all the same. What is refused for want of room counts as not kept.
        """
        state = merged(stores) if stores else None
        written = False

        def also(connection: Connection) -> None:
            nonlocal written
            if state is not None:
                self.store.apply_on(connection, state)
                written = True
            kept = [x.ack.fingerprint for x in self._waiting if x.reading and x.ack]
            if kept:
                self.store.save_alerts_on(connection, kept)

        self.appender.extend(each.reading for each in items if each.reading is not None)
        waited, self._waiting = bool(self._waiting), [*self._waiting, *items]
        kept: list[Item] = []
        try:
            lanes = {stored.lane for stored in self.appender.commit(also=also)}
        except StorageFull as error:
            written = False
            if not waited:
                self.warn(error.message)
        else:
            kept = [x for x in self._waiting if x.reading is None or x.reading.priority in lanes]
            self._waiting = []
        if written:
            self.store.applied()
        elif state is not None:
            self.store.apply(state)
        self.appender.sign_due()
        return kept

    def close(self) -> None:
        """Commit what is pending and sign the heads."""
        self.appender.close()
