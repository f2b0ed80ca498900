"""What is stored, and when: the contract between the cores and a database.

A core gives `Store` events. The host writes their changes in one transaction and then calls
`stored(ticket)`. As long as the host keeps to it, a crash at any point sends no old SEQ:

1. SEQ goes out only below a stored `SeqRecord.limit`; after a crash it goes on there.
2. An IV index that rises comes in the same `Store` as the first block of its numbers, so
   none is used before the index is stored.
3. A `Store` with `before_sending` holds back every PDU until it is stored: what a peer was
   told (a key added, an address given, a reset confirmed) is never forgotten.
4. A `ReplayEntry` comes before the message it belongs to: a host that writes both in one
   transaction neither loses a message nor takes one twice.

Between two stores of the same thing the last one counts; tickets acknowledge all before.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from dunes.mesh.ivindex import IvRecord
from dunes.mesh.keys import AppKeyRecord, NetKeyRecord
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord

EVENTS_MAX = 4096
"""Events that nobody asked for yet; then the oldest is dropped. Stores are never dropped."""


@dataclass(frozen=True, slots=True)
class KeysRecord:
    """All NetKeys and AppKeys of a device."""

    nets: tuple[NetKeyRecord, ...] = ()
    apps: tuple[AppKeyRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class StackState:
    """Everything a device needs to go on after a restart.

    Attributes:
        seq: numbers that may have been sent.
        iv: IV index.
        keys: NetKeys and AppKeys.
        replay: replay list.
    """

    seq: SeqRecord = field(default_factory=SeqRecord)
    iv: IvRecord = field(default_factory=IvRecord)
    keys: KeysRecord = field(default_factory=KeysRecord)
    replay: tuple[ReplayEntry, ...] = ()

    def updated(self, change: object) -> "StackState":
        """Give the state after a change of a `Store`; others than its own leave it as it is."""
        match change:
            case SeqRecord():
                return replace(self, seq=change)
            case IvRecord():
                return replace(self, iv=change)
            case KeysRecord():
                return replace(self, keys=change)
            case ReplayEntry():
                others = tuple(each for each in self.replay if each.src != change.src)
                return replace(self, replay=(*others, change))
        return self


@dataclass(frozen=True, slots=True)
class Store:
    """Write these changes, then call `stored(ticket)`.

    Attributes:
        ticket: rises by one.
        changes: records, in order; each replaces the one of its kind (and of its `src`,
            `unicast`), as `NodeState.updated` and `ManagerState.updated` show.
        before_sending: nothing is sent until they are stored.
    """

    ticket: int
    changes: tuple[Any, ...]
    before_sending: bool


@dataclass(slots=True)
class Journal:
    """Changes that wait to be stored. Bounded: one per kind and key."""

    _pending: dict[object, Any] = field(default_factory=dict)
    _urgent: bool = False
    _ticket: int = 0
    _given: deque[Store] = field(default_factory=deque)

    def add(self, key: object, change: Any, *, before_sending: bool = False) -> None:
        """Note a change; `key` names what it replaces."""
        self._pending.pop(key, None)
        self._pending[key] = change
        self._urgent |= before_sending

    def take(self) -> Store | None:
        """Give what changed since the last time."""
        if not self._pending:
            return None
        self._ticket += 1
        store = Store(self._ticket, tuple(self._pending.values()), self._urgent)
        self._pending, self._urgent = {}, False
        self._given.append(store)
        return store

    def stored(self, ticket: int) -> list[Store]:
        """Give the stores that are written with this one."""
        done = []
        while self._given and self._given[0].ticket <= ticket:
            done.append(self._given.popleft())
        return done

    @property
    def blocked(self) -> bool:
        """Say whether sending has to wait."""
        return self._urgent or any(store.before_sending for store in self._given)
