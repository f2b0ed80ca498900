"""Is this database an older copy of itself? Compare it with the mark outside of it.

    the mark                        the database                what is done
    is not newer                                                nothing
    is newer                        has the same keys           SEQ and IV index of the mark are
                                                                taken; addresses given since are
                                                                not given again
    is newer                        has older keys              refused: import a newer state
    is missing, or of another mesh  has sent something          SEQ jumps by `SEQ_MARGIN`

What the mark knows is exact, as it is written before any of it is used. Without it a jump is
the best there is: a copy may be of any age, yet a gateway that mostly listens takes days for
so many numbers. A copy of the whole disk, mark and all, cannot be told from the original here;
a state export that is imported again makes it safe (`dunes.gateway.wholestate`).
"""

from dataclasses import dataclass, field, replace

from dunes.errors import StorageError
from dunes.gateway.mark import Mark, merged, without
from dunes.mesh.address import SEQ_END
from dunes.mesh.ivindex import STATE_MIN_S, IvRecord
from dunes.mesh.managerstate import ManagerState, NodeGone
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
        seq: numbers that count as used; None: as stored.
        iv: the IV index to go on with; None: as stored.
        gone: addresses that this copy does not know of, and that were given.
        notes: what a person should know.
    """

    seq: SeqRecord | None = None
    iv: IvRecord | None = None
    gone: list[NodeGone] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def judge(
    state: ManagerState, mesh: bytes, generation: int, keys_generation: int, mark: Mark | None
) -> Judgement:
    """Compare a stored state with its mark.

    Args:
        state: as the database has it.
        mesh: its UUID.
        generation: the database's.
        keys_generation: that of its keys.
        mark: as found; None if there is none.

    Raises:
        MeshOutdated: the keys changed since this copy was made.
    """
    if mark is None or mark.mesh != mesh:
        return _without_mark(state)
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


def _without_mark(state: ManagerState) -> Judgement:
    seq = state.stack.seq
    if seq.limit == 0 and seq.iv_index == 0:
        return Judgement()
    jumped = replace(seq, limit=min(seq.limit + SEQ_MARGIN, SEQ_END))
    note = (
        "nothing outside of the database says how old this copy of it is: "
        f"{jumped.limit - seq.limit} sequence numbers are skipped to be safe"
    )
    return Judgement(jumped, notes=[note])


def given_by(state: ManagerState) -> tuple[tuple[int, int], ...]:
    """Give the addresses of all nodes that are, and of those that left, as ranges."""
    nodes = [(node.unicast, node.unicast + node.elements - 1) for node in state.nodes]
    gone = [(each.unicast, each.unicast + each.elements - 1) for each in state.gone]
    return merged([*nodes, *gone])


def _order(record: SeqRecord) -> tuple[int, int]:
    return record.iv_index, record.limit
