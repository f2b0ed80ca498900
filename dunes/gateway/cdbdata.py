"""What a Configuration Database says, and how a gateway joins the mesh that it describes. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from dunes.gateway.addressrange import choose_range, first_for_nodes
from dunes.gateway.cdb import OUR_APP, provisioner_uuid
from dunes.gateway.groups import Group, Label
from dunes.gateway.wholestate import About
from dunes.mesh.ivindex import UNKNOWN, IvRecord
from dunes.mesh.keys import AppKeyRecord
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone
from dunes.mesh.state import KeysRecord, StackState
from dunes.mesh.toolbox import KEY_BYTES


@dataclass(slots=True)
class Database:
    """What a Configuration Database says.

    Attributes:
        name: of the mesh.
        uuid: of the mesh.
        keys: NetKeys and AppKeys.
        nodes: those whose device key is in it, and that are no provisioners.
        others: provisioners.
        about: of these nodes, by primary address.
        groups: with their names.
        labels: virtual addresses.
        gone: addresses that are not to be given out.
        taken: every address that is somebody's, device key or not.
        ranges: what other provisioners give out.
        without_key: names of nodes whose device key is not in it.
        notes: what was read generously.
    """

    name: str
    uuid: bytes
    keys: KeysRecord = field(repr=False)
    nodes: list[KnownNode] = field(default_factory=list)
    others: list[KnownNode] = field(default_factory=list)
    about: dict[int, About] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    gone: list[NodeGone] = field(default_factory=list)
    taken: list[tuple[int, int]] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    without_key: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    def join(self, rng: Random) -> tuple[ManagerState, bool]:
        """Give the state of a gateway that joins this mesh.

        Returns:
            The state, and whether its range lies within another provisioner's.

        Raises:
            NotFound: no addresses are left.
        """
        gone = [(each.unicast, each.unicast + each.elements - 1) for each in self.gone]
        first, last, shared = choose_range(rng, [*self.taken, *gone], self.ranges)
        return self._state(first, first_for_nodes(first, last), last, rng), shared

    def has_provisioner(self, unicast: int) -> bool:
        """Say whether a gateway of ours with this address is among the provisioners."""
        return any(
            other.unicast == unicast and other.uuid == provisioner_uuid(self.uuid, unicast)
            for other in self.others
        )

    def go_on(self, unicast: int, low: int, high: int, rng: Random) -> ManagerState:
        """Give the state of a gateway that is in this mesh already.

        Args:
            unicast: its address; it is no other provisioner from now on.
            low: the first address that it gives out.
            high: the last.
            rng: for a key; a `SystemRandom` outside of tests.
        """
        self.others = [other for other in self.others if other.unicast != unicast]
        self.about.pop(unicast, None)
        return self._state(unicast, low, high, rng)

    def _state(self, unicast: int, low: int, high: int, rng: Random) -> ManagerState:
        keys = self.keys
        if OUR_APP not in {app.index for app in keys.apps}:
            made = AppKeyRecord(OUR_APP, keys.nets[0].index, rng.randbytes(KEY_BYTES))
            keys = KeysRecord(keys.nets, (made, *keys.apps))
            self.notes[
                f"application key {OUR_APP} was made, nodes get it when they are set up"
            ] = 1
        stack = StackState(iv=IvRecord(UNKNOWN), keys=keys)
        nodes = tuple(sorted(self.nodes, key=lambda node: node.unicast))
        return ManagerState(unicast, stack, nodes, tuple(self.gone), low, high)
