"""May this gateway send this table there, and this one deliver it here? Asked of the policies."""

from dataclasses import dataclass, field
from typing import Self

from dunes.authority.gate import Gate, local_subject
from dunes.authority.model import Action, Decision, Request, Resource, Subject
from dunes.buffer.records import Signer
from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.paths import Paths

AGAIN_S = 1.0
"""A sync that runs on asks again this often: a restriction ends it within a second."""


@dataclass(slots=True)
class Permission:
    """The right of whoever runs this process to send a table to a ground station.

    Attributes:
        gate: policies, standings and the record of this place.
        request: the question.
        clock: ours.
    """

    gate: Gate
    request: Request
    clock: Clock = SYSTEM_CLOCK
    _next_s: float = field(default=float("-inf"))

    @classmethod
    def to_push(cls, paths: Paths, table: str, destination: str, signer: Signer) -> Self:
        """Give the right to send a table to a destination."""
        request = Request(
            local_subject(paths), Action.SYNC_PUSH, Resource(table, destination=destination)
        )
        return cls(Gate(paths, signer=signer), request)

    def check(self) -> None:
        """Ask, at most once a second.

        Raises:
            NotAuthorised: the policies say no, or do by now; nothing more is to be sent.
        """
        now_s = self.clock.monotonic_s()
        if now_s >= self._next_s:
            self._next_s = now_s + AGAIN_S
            self.gate.require(self.request)

    def close(self) -> None:
        """Write down what was decided."""
        self.gate.flush()


def may_deliver(gate: Gate, gateway: str, table: str) -> Decision:
    """Ask at a ground station whether an enrolled gateway may deliver a table."""
    request = Request(Subject("gateway", gateway), Action.GROUND_ACCEPT, Resource(table))
    return gate.decide(request)
