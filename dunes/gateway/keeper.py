"""Who makes things durable for a runner: the mesh's state, and what nodes said.

The runner gathers `Store` events and messages, and hands both over together. A keeper that
writes them in one transaction neither loses a message nor takes one twice
(`dunes.mesh.state`, rule 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from dunes.mesh.manager import Received
from dunes.mesh.state import Store


class Taken(NamedTuple):
    """What is to be kept of a message.

    Attributes:
        items: as the keeper likes them; empty: nothing.
        urgent: write them now.
    """

    items: Sequence[Any] = ()
    urgent: bool = False


class Keeper(Protocol):
    """Writes what a runner gives it."""

    def take(self, received: Received) -> Taken:
        """Say what is to be kept of a message; quick, without IO, in the runner's thread."""
        ...

    def keep(self, stores: Sequence[Store], items: Sequence[Any]) -> Sequence[Any]:
        """Write, in a thread of its own; the stores are on the disk when this returns.

        Called now and then with nothing, for what falls due.

        Returns:
            The items that are on the disk now, and were not when it returned last.

        Raises:
            StorageError: nothing more can be kept: the runner ends.
        """
        ...

    def close(self) -> None:
        """End, in the same thread: nothing more is given."""
        ...


class StateWriter(Protocol):
    """What a keeper needs of the place where a mesh's state lies."""

    def apply(self, store: Store) -> None:
        """Write the changes of a store; they are on the disk when this returns."""
        ...


@dataclass(slots=True)
class StateKeeper:
    """Keeps the mesh's state, and no messages."""

    state: StateWriter

    def take(self, received: Received) -> Taken:
        """Keep nothing of a message."""
        del received
        return Taken()

    def keep(self, stores: Sequence[Store], items: Sequence[Any]) -> Sequence[Any]:
        """Write the stores, in order."""
        del items
        for store in stores:
            self.state.apply(store)
        return ()

    def close(self) -> None:
        """Do nothing: there is nothing to end."""
