"""Is this database an older copy of itself? Compare it with the mark outside of it.

    the mark                        the database                what is done
    is not newer                                                nothing
    is newer                        has the same keys           SEQ and IV index of the mark are
                                                                taken; addresses given since are
                                                                not given again
    is newer                        has older keys              refused: import a newer state
    is missing, or of another mesh  has sent something          the gateway takes another address

What the mark knows is exact, as it is written before any of it is used. Without it a copy may
be of any age: numbers of any height may have been used since, and after an IV update those
from 0 on once more. From an address that nobody has sent from, every number is new. (Only where
no address is left SEQ jumps by `SEQ_MARGIN` instead.) It costs an entry in the nodes' replay
lists. A copy of the whole disk, mark and all, cannot be told from the original here; a state
export that is imported again makes it safe in the same way (`dunes.gateway.wholestate`).
"""

from dataclasses import dataclass, field, replace
from random import Random

from dunes.errors import StorageError
from dunes.gateway.mark import Mark, merged, without
from dunes.mesh.address import SEQ_END
from dunes.mesh.ivindex import STATE_MIN_S, IvRecord
from dunes.mesh.managerstate import OWN_ELEMENTS, ManagerState, NodeGone
from dunes.mesh.sequence import SeqRecord

SEQ_MARGIN = 0x20000
"""Numbers that are skipped where nobody knows how many were used: 131072 of 16777216."""


class MeshOutdated(StorageError):
    """The database is an older copy, and its keys are no longer those of the mesh."""

    code = "mesh-outdated"


@dataclass(slots=True)
class Judgement:
    """What has to change before anything is sent.

    Attributes:
        unicast: our address from now on; None: as stored.
        seq: numbers that count as used; None: as stored.
        iv: the IV index to go on with; None: as stored.
        gone: addresses that this copy does not know of, and that were given.
        notes: what a person should know.
    """

    unicast: int | None = None
    seq: SeqRecord | None = None
    iv: IvRecord | None = None
    gone: list[NodeGone] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def judge(
    state: ManagerState,
    mesh: bytes,
    generation: int,
    keys_generation: int,
    mark: Mark | None,
    rng: Random,
) -> Judgement:
    """Compare a stored state with its mark.

    Args:
        state: as the database has it.
        mesh: its UUID.
        generation: the database's.
        keys_generation: that of its keys.
        mark: as found; None if there is none.
        rng: for another address; a `SystemRandom` outside of tests.

    Raises:
        MeshOutdated: the keys changed since this copy was made.
    """
    if mark is None or mark.mesh != mesh:
        return _without_mark(state, rng)
    if mark.generation <= generation:
        return Judgement()
    if mark.keys_generation > keys_generation:
        raise MeshOutdated(
            "the database is an older copy: the keys of the mesh were changed since",
            hint="dunes mesh-import FILE with a state export made after that",
        )
    found = Judgement()
    stored, known = state.stack.seq, SeqRecord(mark.iv_index, mark.limit)
    if mark.unicast == state.unicast and _order(known) > _order(stored):
        found.seq = known
    iv = state.stack.iv
    if (mark.network_iv, not mark.updating) > (iv.index, not iv.updating):
        found.iv = IvRecord(mark.network_iv, mark.updating, STATE_MIN_S, iv.recovered_age_s)
    index = mark.network_iv if found.iv else iv.index
    missing = without(mark.given, given_by(state))
    found.gone = [NodeGone(first, last - first + 1, index) for first, last in missing]
    used = (
        0
        if found.seq is None
        else found.seq.limit - stored.limit * (stored.iv_index == found.seq.iv_index)
    )
    found.notes.append(
        "the mesh's database was set back to an older copy: sending goes on behind the "
        f"{used} numbers that were reserved since"
    )
    if missing:
        lost = sum(last - first + 1 for first, last in missing)
        found.notes.append(
            f"{lost} addresses were given to nodes that this copy does not know: they are not "
            "given again soon; those nodes have to be reset and provisioned anew"
        )
    return found


def _without_mark(state: ManagerState, rng: Random) -> Judgement:
    seq = state.stack.seq
    if seq.limit == 0 and seq.iv_index == 0:
        return Judgement()
    unknown = "nothing outside of the database says how old this copy of it is: "
    unicast = another_address(state, rng)
    if unicast is None:
        jumped = replace(seq, limit=min(seq.limit + SEQ_MARGIN, SEQ_END))
        skipped = f"{jumped.limit - seq.limit} sequence numbers are skipped to be safe"
        return Judgement(seq=jumped, notes=[unknown + skipped])
    found = Judgement(unicast, gone=[left_by(state)])
    found.notes.append(
        f"{unknown}the gateway sends from {unicast:#06x} from now on, no longer from "
        f"{state.unicast:#06x}, so that no number is used twice"
    )
    return found


def another_address(state: ManagerState, rng: Random) -> int | None:
    """Choose an address of ours that nobody has and nobody had; None if none is left.

    All our elements find room from there on, and where there is more of it, some to come.
    """
    taken = [*given_by(state), (state.unicast, state.unicast)]
    free = without(((state.low, state.high),), taken)
    for room in (max(OWN_ELEMENTS, state.elements), state.elements):
        wide = [(first, last) for first, last in free if last - first + 1 >= room]
        if wide:
            first, last = rng.choice(wide)
            return rng.randint(first, last - room + 1)
    return None


def left_by(state: ManagerState) -> NodeGone:
    """Give our addresses as those that nobody gets soon, as we take others."""
    return NodeGone(state.unicast, state.elements, state.stack.iv.index)


def given_by(state: ManagerState) -> tuple[tuple[int, int], ...]:
    """Give the addresses of all nodes that are and that left, and of our further elements."""
    nodes = [(node.unicast, node.unicast + node.elements - 1) for node in state.nodes]
    gone = [(each.unicast, each.unicast + each.elements - 1) for each in state.gone]
    own = [(state.unicast + 1, state.unicast + state.elements - 1)] if state.elements > 1 else []
    return merged([*nodes, *gone, *own])


def _order(record: SeqRecord) -> tuple[int, int]:
    return record.iv_index, record.limit
