"""What a gateway keeps of its mesh: nodes, addresses, keys.

Source: Mesh Protocol 1.1, 3.11.7 (freed addresses).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from random import Random

from dunes.errors import NotFound
from dunes.mesh.address import UNICAST_MAX
from dunes.mesh.keys import AppKeyRecord, NetKeyRecord
from dunes.mesh.state import KeysRecord, StackState, Store

REUSE_AFTER = 2
"""An address freed at IV index n may be given again from n+2 on: n+1 still accepts n."""
NAME_MAX = 64
OWN_ELEMENTS = 8
"""Addresses that a new mesh leaves to its gateway: its own, and 7 for devices it speaks for."""


class Progress(IntEnum):
    """How far a node is."""

    GRANTED = 1
    """Keys and address were sent; whether they arrived is not known: look for its identity."""
    PROVISIONED = 2
    """It said so."""
    CONFIGURED = 3
    """Every step of its plan is done."""


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node of ours.

    Attributes:
        uuid: device UUID.
        unicast: primary address.
        elements: addresses it has.
        device_key: 16 bytes.
        progress: how far it is.
        step: steps of its plan that are done.
        composition: page 0, or empty.
        name: given by people.
        net_index: the subnet it was provisioned into.
    """

    uuid: bytes
    unicast: int
    elements: int
    device_key: bytes = field(repr=False)
    progress: Progress = Progress.GRANTED
    step: int = 0
    composition: bytes = b""
    name: str = ""
    net_index: int = 0

    def has(self, unicast: int) -> bool:
        """Say whether an address is one of its elements."""
        return self.unicast <= unicast < self.unicast + self.elements


@dataclass(frozen=True, slots=True)
class NodeGone:
    """A node left; its addresses are kept from use for a while."""

    unicast: int
    elements: int
    iv_index: int


@dataclass(frozen=True, slots=True)
class ManagerState:
    """Everything a gateway needs to go on after a restart.

    Attributes:
        unicast: our own address.
        stack: keys, IV index, SEQ, replay list.
        nodes: in order of their addresses.
        gone: addresses that wait.
        low: the first address to give out.
        high: the last one.
        elements: addresses that we have, from `unicast` on.
    """

    unicast: int
    stack: StackState
    nodes: tuple[KnownNode, ...] = ()
    gone: tuple[NodeGone, ...] = ()
    low: int = 2
    high: int = UNICAST_MAX
    elements: int = 1

    @classmethod
    def new(cls, rng: Random, *, unicast: int = 1, app_keys: int = 1) -> "ManagerState":
        """Make a new mesh: a NetKey and some AppKeys; `rng` a `SystemRandom` outside of tests.

        Nodes are given addresses behind the `OWN_ELEMENTS` that may become ours.
        """
        apps = tuple(AppKeyRecord(index, 0, rng.randbytes(16)) for index in range(app_keys))
        keys = KeysRecord((NetKeyRecord(0, rng.randbytes(16)),), apps)
        return cls(unicast, StackState(keys=keys), low=unicast + OWN_ELEMENTS)

    def updated(self, store: Store) -> "ManagerState":
        """Give the state after a `Store`: all that a host has to keep."""
        state = self
        for change in store.changes:
            match change:
                case KnownNode():
                    others = [each for each in state.nodes if each.unicast != change.unicast]
                    nodes = sorted([*others, change], key=lambda each: each.unicast)
                    state = replace(state, nodes=tuple(nodes))
                case NodeGone():
                    others = [each for each in state.nodes if each.unicast != change.unicast]
                    state = replace(state, nodes=tuple(others), gone=(*state.gone, change))
                case _:
                    state = replace(state, stack=state.stack.updated(change))
        return state


def free_address(
    elements: int,
    *,
    low: int,
    high: int,
    taken: Iterable[tuple[int, int]],
    gone: Iterable[NodeGone],
    iv_index: int,
) -> int:
    """Find the lowest run of addresses that nobody has or had until lately.

    Args:
        elements: how many in a row.
        low: the first that may be given.
        high: the last.
        taken: (first, count) of those in use.
        gone: nodes that left.
        iv_index: the current one.

    Raises:
        NotFound: there is no such run.
    """
    waiting = [
        (each.unicast, each.elements) for each in gone if iv_index < each.iv_index + REUSE_AFTER
    ]
    begin = low
    for first, count in sorted([*taken, *waiting]):
        if begin + elements <= first:
            break
        begin = max(begin, first + count)
    if begin + elements - 1 > high:
        raise NotFound(
            f"no {elements} unicast addresses in a row are free below {high:#06x}",
            hint="finish an IV update: addresses of removed nodes are free after two",
        )
    return begin
