"""A key refresh through a `Manager`: new keys to every node, then new ones only.

    phase 1   NetKey Update and AppKey Updates to every node; we send with the old keys
    phase 2   Key Refresh Phase Set 2 to every node; we send with the new ones
    phase 3   Key Refresh Phase Set 3 to every node; the old keys are gone

A node that stays silent holds the refresh up: leave it out with `skip`, and it is out of the
network from then on, which is how a lost node is locked out (Mesh Protocol 1.1, 3.11.4).
"""

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum

from dunes.errors import LocalError
from dunes.mesh.keys import Phase
from dunes.mesh.manager import Manager, ManagerEvent
from dunes.mesh.models import config_keys
from dunes.mesh.procedure import judge
from dunes.mesh.requests import Answered, Unanswered
from dunes.mesh.status import Status
from dunes.mesh.wire import Message


class Round(IntEnum):
    """Where the refresh is."""

    DISTRIBUTE = 1
    SWITCH = 2
    REVOKE = 3
    DONE = 4


@dataclass(frozen=True, slots=True)
class RoundDone:
    """Every node has followed; the next round has begun."""

    round: Round


@dataclass(frozen=True, slots=True)
class NodeHolds:
    """A node does not follow: try again, or `skip` it."""

    unicast: int
    round: Round
    reason: str


@dataclass(slots=True)
class KeyRefresh:
    """One refresh of one NetKey and its AppKeys.

    Attributes:
        manager: whose network it is.
        net_index: the NetKey.
        round: where it is.
    """

    manager: Manager
    net_index: int
    round: Round = Round.DISTRIBUTE
    _todo: dict[int, deque[Message]] = field(default_factory=dict)
    _ids: dict[int, int] = field(default_factory=dict)
    _messages: list[Message] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)
    _events: deque[RoundDone | NodeHolds] = field(default_factory=deque)

    def begin(self, net_key: bytes, app_keys: dict[int, bytes] | None = None) -> None:
        """Give out the new keys.

        Args:
            net_key: the NetKey's next value.
            app_keys: next values of AppKeys, by index.

        Raises:
            LocalError: a refresh with other keys is under way, or an AppKey is unknown.
        """
        keys, later = self.manager.stack.keys, app_keys or {}
        statuses = [keys.update_net(self.net_index, net_key)]
        statuses += [keys.update_app(self.net_index, index, key) for index, key in later.items()]
        wrong = [status for status in statuses if status is not Status.SUCCESS]
        if wrong:
            raise LocalError(f"the key refresh cannot begin: {wrong[0].words}")
        self.manager.stack.keys_changed()
        updates: list[Message] = [config_keys.NetKeyUpdate(self.net_index, net_key)]
        updates += [
            config_keys.AppKeyUpdate((self.net_index, index), key) for index, key in later.items()
        ]
        self._ask_all(updates)

    def resume(self) -> None:
        """Go on after a restart: from phase 2 on nothing but the phase is needed."""
        phase = self.manager.stack.keys.subnets[self.net_index].phase
        if phase is not Phase.SWITCHING:
            raise LocalError("give the same keys to `begin` again: it may be repeated")
        self.round = Round.SWITCH
        self._ask_all([config_keys.KeyRefreshSet(self.net_index, Round.SWITCH)])

    def receive(self, event: ManagerEvent) -> bool:
        """Take an event of the manager; say whether it belongs to the refresh."""
        if not isinstance(event, Answered | Unanswered):
            return False
        if self._ids.get(event.dst) != event.id:
            return False
        if isinstance(event, Unanswered):
            self._holds(event.dst, f"silent after {event.tries} tries")
            return True
        status = judge(event.request, event.answer)
        if status is not Status.SUCCESS:
            self._holds(event.dst, status.words)
            return True
        self._todo[event.dst].popleft()
        if self._todo[event.dst]:
            self._ask(event.dst)
        else:
            self.skip(event.dst)
        return True

    def again(self, unicast: int) -> None:
        """Ask a node that held once more."""
        self._ask(unicast)

    def skip(self, unicast: int) -> None:
        """Go on without a node in this round."""
        self._todo.pop(unicast, None)
        self._ids.pop(unicast, None)
        if self._todo or self.round is Round.DONE:
            return
        self._ask_new()
        if not self._todo:
            self._advance()

    @property
    def asking(self) -> int:
        """Count the nodes that are being asked now."""
        return len(self._ids)

    def next_event(self) -> RoundDone | NodeHolds | None:
        """Give the next event."""
        return self._events.popleft() if self._events else None

    def _holds(self, unicast: int, reason: str) -> None:
        self._ids.pop(unicast, None)
        self._events.append(NodeHolds(unicast, self.round, reason))

    def _advance(self) -> None:
        done, self.round = self.round, Round(self.round + 1)
        self._events.append(RoundDone(done))
        if done is Round.REVOKE:
            return
        transition = Phase.SWITCHING if done is Round.DISTRIBUTE else Phase.REVOKING
        self.manager.stack.keys.change_phase(self.net_index, transition)
        self.manager.stack.keys_changed()
        self._ask_all([config_keys.KeyRefreshSet(self.net_index, transition)])

    def _ask_all(self, messages: list[Message]) -> None:
        self._messages, self._seen = messages, set()
        self._ask_new()
        if not self._todo:
            self._advance()

    def _ask_new(self) -> None:
        """Ask the nodes that were not asked in this round: also one provisioned meanwhile."""
        for node in self.manager.nodes.values():
            if node.net_index == self.net_index and node.unicast not in self._seen:
                self._seen.add(node.unicast)
                self._todo[node.unicast] = deque(self._messages)
                self._ask(node.unicast)

    def _ask(self, unicast: int) -> None:
        self._ids[unicast] = self.manager.request(unicast, self._todo[unicast][0])
