"""The state of one mesh in this gateway's database, for the one who may write it.

::

    with MeshStore.open(settings) as store:              takes the writer's lock, or MeshBusy
        manager = Manager.start(store.load(), SystemRandom(), now_s=clock.monotonic_s())
        …
        event = manager.next_event()
        if isinstance(event, Store):
            store.apply(event)                           durable when it returns
            manager.stored(event.ticket, now_s)          only now SEQ may be used

    MeshStore.create(settings, "lunar-ble-001", ManagerState.new(SystemRandom()))
    MeshStore.open(settings, write=False)                a look, beside a running writer

    store.mesh_id, store.uuid, store.table               `lunar-ble-001`, `lunar_telemetry`
    store.notes                                          what opening found out, for people
    store.written_by                                     who has the lock, or None
    store.find("hab-1" | "hab-1.1" | "0x0005" | UUID)    (NodeName, address), or NotFound
    store.name_of(0x0006)                                `hab-1.1`, for readings
    store.views()                                        nodes without keys, for status
    store.note_seen(unicast, at_us)                      written with the next `apply`
    store.set_settings(unicast, {...})                   what was configured, for exports
    store.groups(), store.set_group(…), store.labels(), store.set_label(…)
    store.link("cube-sat-001"), store.unlink(…), store.links(), store.linked()

What holds:

- One writer: `flock` on a file in the runtime directory. Beside it each opening for writing
  puts a token into the mesh's row, and whoever no longer finds his own is refused (`MeshLost`)
  at his next `apply`: two gateways on one database server cannot share an address either.
- `apply` is one transaction, on the disk when it returns; after it the mark outside of the
  database (`dunes.gateway.mark`). A crash between the two loses nothing.
- `apply_on` writes within a transaction of somebody else, e.g. the one that adds the readings
  that a `ReplayEntry` belongs to; call `applied` after its COMMIT.
- A database that was copied back is noticed, see `dunes.gateway.recovery`.
- `apply` may be called in another thread than the rest, by one thread at a time.
- Keys are sealed at rest and in no repr, see `dunes.gateway.sealing`.
"""

import os
from dataclasses import dataclass, field, replace
from random import SystemRandom
from typing import Self

from sqlalchemy import Connection

from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.crypto.identity import Identity, ensure_identity
from dunes.errors import Denied, LocalError
from dunes.gateway import rows, saving
from dunes.gateway.directory import lock_path, mark_path
from dunes.gateway.lock import MeshLock
from dunes.gateway.mark import Mark, read_mark, with_range
from dunes.gateway.naming import mesh_table
from dunes.gateway.opening import (
    TOKEN_BYTES,
    Beside,
    choose,
    insert_mesh,
    need_network,
    open_database,
)
from dunes.gateway.recovery import given_by, judge
from dunes.gateway.writer import MeshLost, Writer
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import KeysRecord, Store
from dunes.model import check_name
from dunes.settings import Settings

__all__ = ["MeshLost", "MeshMoved", "MeshStore"]


class MeshMoved(Denied):
    """This mesh was given to another gateway."""

    code = "mesh-moved"


@dataclass(slots=True, repr=False)
class MeshStore(Writer):
    """One mesh of this gateway's database.

    Attributes:
        notes: what a person should know: a copy that was noticed, numbers that were skipped.
    """

    notes: list[str] = field(default_factory=list)
    _lock: MeshLock | None = None
    _mark: Mark | None = None
    _next_mark: Mark | None = None

    # ---------------------------------------------------------------- opening

    @classmethod
    def open(
        cls,
        settings: Settings,
        mesh_id: str = "",
        *,
        write: bool = True,
        identity: Identity | None = None,
        holder: str = "dunes",
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Open a mesh that is there.

        Args:
            settings: as loaded.
            mesh_id: its name; default: `mesh.id` of the settings, else the only one there is.
            write: take the right to write; otherwise only look.
            identity: this place's keys, unlocked; default: loaded when they are needed.
            holder: the command, for whoever finds the mesh in use.
            clock: for ages and records.

        Raises:
            NotFound: no such mesh here.
            ConfigError: none was named.
            MeshBusy: somebody else writes it.
            MeshMoved: it was given to another gateway.
            MeshOutdated: an older copy, whose keys are no longer those of the mesh.
            NoIdentity, WrongPassphrase, NotARecipient: its keys cannot be opened.
            StorageError, Denied: the database.
        """
        buffer = open_database(settings, mesh_id, create=False)
        try:
            with buffer.reading() as connection:
                names = rows.network_names(connection)
                name = choose(mesh_id or settings["mesh.id"], names)
                network = need_network(connection, name, names)
            store = cls(network, buffer, settings.paths, clock, _identity=identity)
            if write:
                lock = MeshLock(store.lock_path)
                lock.take(name, holder, clock.unix_us())
                store._begin(lock)
        except BaseException:
            buffer.close()
            raise
        return store

    @classmethod
    def create(
        cls,
        settings: Settings,
        mesh_id: str,
        state: ManagerState,
        *,
        uuid: bytes | None = None,
        identity: Identity | None = None,
        holder: str = "dunes",
        replace_it: bool = False,
        beside: Beside | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Make a mesh, and open it for writing.

        Args:
            settings: as loaded.
            mesh_id: its name, e.g. `lunar-ble-001`.
            state: all there is of it, e.g. `ManagerState.new(SystemRandom())`.
            uuid: the mesh's UUID; default: a random one.
            identity: this place's keys; default: loaded, or made if there are none.
            holder: the command, for whoever finds the mesh in use.
            replace_it: put this state in the place of what is there by that name.
            beside: groups, labels, and what is known of nodes.
            clock: for ages and records.

        Raises:
            MeshExists: there is one, and `replace_it` is off.
            DataError: no such name can be.
            MeshBusy, StorageError, Denied: as `open`.
        """
        check_name(mesh_id, "mesh")
        mesh_table(mesh_id)
        keys = ensure_identity(settings.paths) if identity is None else identity
        buffer = open_database(settings, mesh_id, create=True)
        try:
            lock = MeshLock(lock_path(settings.paths, mesh_id))
            lock.take(mesh_id, holder, clock.unix_us())
            try:
                path = mark_path(settings.paths, mesh_id)
                mark = read_mark(path)
                network = insert_mesh(
                    buffer,
                    mesh_id,
                    state,
                    uuid,
                    keys,
                    clock=clock,
                    replace_it=replace_it,
                    above=mark.generation if mark else 0,
                    beside=beside,
                )
                _mark_of(network, state).write(path)
            except BaseException:
                lock.release()
                raise
            store = cls(network, buffer, settings.paths, clock, _identity=keys)
            store._begin(lock)
        except BaseException:
            buffer.close()
            raise
        return store

    def _begin(self, lock: MeshLock) -> None:
        """Take the database over under a lock that is held; compare it with the mark."""
        try:
            mark = read_mark(self.mark_path)
            self._scribe()  # what cannot be opened is said before anybody is fenced off
            self._token = os.urandom(TOKEN_BYTES)
            with self._writing() as connection:
                state = self._take_over(connection, mark)
            self._mark = _mark_of(self.network, state)
            if self._mark != mark:
                self._mark.write(self.mark_path)
        except BaseException:
            lock.release()
            raise
        self._lock = lock

    def _take_over(self, connection: Connection, mark: Mark | None) -> ManagerState:
        """Fence off whoever wrote before; mend what the mark knows better."""
        network = self._reread(connection)
        if network.moved_us is not None:
            raise MeshMoved(
                f"mesh {self.mesh_id} was given to another gateway: nothing is sent from here",
                hint="to take it back: dunes mesh-import FILE --force, with a state export of "
                "the gateway that has it now",
            )
        self._update(connection, writer=self._token)
        scribe = self._scribe()
        state = rows.load_state(connection, network, scribe)
        found = judge(
            state, network.uuid, network.generation, network.keys_generation, mark, SystemRandom()
        )
        if found.unicast is not None:
            self._update(connection, unicast=found.unicast)
            scribe = replace(scribe, unicast=found.unicast)
        changes = [each for each in (found.seq, found.iv, *found.gone) if each is not None]
        for change in changes:
            saving.write_change(connection, scribe, change)
        if changes:
            above = max(network.generation, mark.generation if mark else 0) + 1
            self._update(connection, generation=above)
        self._rewrap(connection, scribe)
        self.notes += found.notes
        self.network = self._reread(connection)
        return rows.load_state(connection, self.network, scribe)

    def _rewrap(self, connection: Connection, scribe: rows.Scribe) -> None:
        """Wrap the secret to our present key, after a rotation."""
        identity = self._identity
        if identity is not None and identity.kid not in rows.load_wraps(connection, scribe.id):
            wrapped = scribe.sealer.wrap(scribe.uuid, identity.recipient.public)
            saving.save_wrap(connection, scribe.id, identity.kid, wrapped, scribe.now_us)

    def close(self) -> None:
        """Write what is left, and give the mesh free."""
        try:
            if self._seen and self._lock is not None:
                with self._writing() as connection:
                    self._update(connection)
                    self._save_seen(connection)
        finally:
            if self._lock is not None:
                self._lock.release()
            self.buffer.close()

    def __enter__(self) -> Self:
        """Use the store in a `with` statement."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Show which mesh it is; nothing secret."""
        return f"<MeshStore {self.mesh_id}>"

    # ---------------------------------------------------------------- the state

    def load(self) -> ManagerState:
        """Read everything that `Manager.start` goes on from; ages are as of now.

        Raises:
            NoIdentity, WrongPassphrase, NotARecipient: its keys cannot be opened.
            Tampered: a sealed key was changed.
        """
        scribe = self._scribe()
        with self.buffer.reading() as connection:
            return rows.load_state(connection, self._reread(connection), scribe)

    def apply(self, store: Store) -> None:
        """Write the changes of a `Store`; they are on the disk when this returns.

        Raises:
            MeshLost: another program took this mesh over; send nothing more.
            StorageFull, StorageError: nothing was changed; the same may be tried again.
            LocalError: a change that no gateway makes, or SEQ that would go back.
        """
        with self._writing() as connection:
            self.apply_on(connection, store)
        self.applied()

    def apply_on(self, connection: Connection, store: Store) -> None:
        """Write a `Store` in the caller's transaction; call `applied` after its COMMIT.

        Args:
            connection: to the same database, in a transaction that may write.
            store: what the manager gave.

        Raises:
            MeshLost, LocalError: as `apply`.
        """
        if self._mark is None:
            raise LocalError("this mesh was opened to look only")
        scribe, mark = self._scribe(), self._mark
        for change in store.changes:
            if not isinstance(change, ReplayEntry):
                saving.write_change(connection, scribe, change)
                mark = _marked(mark, change)
        entries = [change for change in store.changes if isinstance(change, ReplayEntry)]
        saving.save_replay(connection, self.network.id, entries)
        if mark != self._mark:
            mark = replace(mark, generation=mark.generation + 1)
        self._update(connection, generation=mark.generation, keys_generation=mark.keys_generation)
        self._save_seen(connection)
        self._next_mark = mark
        if any(isinstance(change, (KnownNode, NodeGone)) for change in store.changes):
            self._forget_names()

    def applied(self) -> None:
        """Take that the transaction of the last `apply_on` is on the disk.

        Raises:
            StorageError: the mark cannot be written; SEQ of that store must not be used.
        """
        mark, self._next_mark = self._next_mark, None
        if mark is not None and mark != self._mark:
            mark.write(self.mark_path)
            self._mark = mark

    def move_away(self, *, back: bool = False) -> None:
        """Note that another gateway has this mesh from now on; opening it is refused then.

        Args:
            back: take that back, as the other gateway never got it.
        """
        with self._writing() as connection:
            self._update(connection, moved_us=None if back else self.clock.unix_us())


def _marked(mark: Mark, change: object) -> Mark:
    """Give the mark after a change."""
    match change:
        case SeqRecord():
            return replace(mark, iv_index=change.iv_index, limit=change.limit)
        case IvRecord():
            return replace(mark, network_iv=change.index, updating=change.updating)
        case KeysRecord():
            return replace(mark, keys_generation=mark.keys_generation + 1)
        case KnownNode() | NodeGone():
            return replace(mark, given=with_range(mark.given, change.unicast, change.elements))
        case _:
            return mark


def _mark_of(network: rows.Network, state: ManagerState) -> Mark:
    return Mark(
        network.uuid,
        network.generation,
        network.keys_generation,
        network.unicast,
        state.stack.seq.iv_index,
        state.stack.seq.limit,
        state.stack.iv.index,
        state.stack.iv.updating,
        given_by(state),
    )
