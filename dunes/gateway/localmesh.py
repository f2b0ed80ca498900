"""What is here of a mesh that an import replaces: it must not be forgotten, only added to."""

from dataclasses import dataclass, replace
from random import Random

from dunes.errors import NotFound
from dunes.gateway import rows
from dunes.gateway.devicelinks import DeviceLink
from dunes.gateway.directory import mark_path
from dunes.gateway.mark import Mark, Ranges, merged, read_mark
from dunes.gateway.recovery import judge
from dunes.gateway.store import MeshStore
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.managerstate import ManagerState
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.settings import Settings


@dataclass(frozen=True, slots=True)
class LocalMesh:
    """A mesh of this gateway's database, as far as it can be read without its keys.

    Attributes:
        network: its own row.
        iv: its IV index, with ages as of now.
        sent: numbers that may have been sent, by our address.
        nodes: names of its nodes, by primary address.
        given: addresses of nodes that are, and of those that left.
        replay: replay list.
        mark: what the mark outside of the database says; None if there is none of this mesh.
        links: elements of ours that are or were some device's.
    """

    network: rows.Network
    iv: IvRecord
    sent: dict[int, SeqRecord]
    nodes: dict[int, str]
    given: Ranges
    replay: tuple[ReplayEntry, ...]
    mark: Mark | None
    links: tuple[DeviceLink, ...] = ()

    @classmethod
    def look(cls, settings: Settings, name: str) -> "LocalMesh | None":
        """Look at the mesh of a name; None if there is none."""
        try:
            store = MeshStore.open(settings, name, write=False)
        except NotFound:
            return None
        with store:
            views = store.views()
            ranges = [(each.unicast, each.elements) for each in views]
            ranges += [(each.unicast, each.elements) for each in store.gone()]
            mark = read_mark(mark_path(settings.paths, name))
            return cls(
                store.network,
                rows.iv_of(store.network, store.clock.unix_us()),
                store.all_sent(),
                {each.unicast: each.shown for each in views},
                merged((first, first + count - 1) for first, count in ranges),
                store.replay(),
                mark if mark is not None and mark.mesh == store.uuid else None,
                tuple(store.links()),
            )

    @property
    def sure(self) -> bool:
        """Whether it is known what was sent from our address: its mark is there."""
        return self.mark is not None and self.mark.unicast == self.network.unicast

    def floor(self, unicast: int) -> Mark:
        """Say what was promised to the network, by database and mark together.

        Args:
            unicast: the address whose sequence numbers count.
        """
        seq = self.sent.get(unicast, SeqRecord())
        stored = Mark(
            self.network.uuid,
            self.network.generation,
            self.network.keys_generation,
            unicast,
            seq.iv_index,
            seq.limit,
            self.iv.index,
            self.iv.updating,
            self.given,
        )
        mark = self.mark
        if mark is None or mark.generation <= stored.generation:
            return stored
        if mark.unicast != unicast:
            return replace(mark, unicast=unicast, iv_index=seq.iv_index, limit=seq.limit)
        return mark

    def behind(self, state: ManagerState, rng: Random) -> ManagerState:
        """Let a state that is imported over this mesh go on behind what was used here."""
        floor = self.floor(state.unicast)
        iv = state.stack.iv
        if (self.iv.index, not self.iv.updating) >= (iv.index, not iv.updating):
            state = replace(state, stack=replace(state.stack, iv=self.iv))
        # a generation of -1: whatever the floor says is news to the file
        found = judge(state, floor.mesh, -1, floor.keys_generation, floor, rng)
        newest = {each.src: each for each in state.stack.replay}
        for each in self.replay:
            known = newest.get(each.src)
            if known is None or (known.iv_index, known.seq) < (each.iv_index, each.seq):
                newest[each.src] = each
        stack = replace(
            state.stack,
            seq=found.seq or state.stack.seq,
            iv=found.iv or state.stack.iv,
            replay=tuple(newest[src] for src in sorted(newest)),
        )
        return replace(state, stack=stack, gone=(*state.gone, *found.gone))
