"""What commissioning says: as it goes, and at its end."""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What has happened to a node."""

    FOUND = "found"
    PROVISIONED = "provisioned"
    STEP = "step"
    CONFIGURED = "configured"
    AGAIN = "again"
    """A try failed; another follows."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Told:
    """One change of one node.

    Attributes:
        uuid: device UUID, hexadecimal.
        name: of the node; empty before it has one.
        unicast: its primary address; 0 before it has one.
        stage: what happened.
        detail: more of it.
        done: nodes configured by now.
        wanted: nodes asked for.
    """

    uuid: str
    name: str
    unicast: int
    stage: Stage
    detail: str
    done: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A node that did not make it.

    Attributes:
        uuid: device UUID, hexadecimal.
        name: as far as it has one.
        unicast: its primary address; 0: none.
        reason: why, for people.
    """

    uuid: str
    name: str
    unicast: int
    reason: str


@dataclass(frozen=True, slots=True)
class Commissioned:
    """How a run ended.

    Attributes:
        wanted: nodes asked for.
        configured: nodes that are what they shall be.
        before: those that were so when it began.
        outcomes: nodes that are not.
        changed: nodes that were brought to another plan.
    """

    wanted: int
    configured: int
    before: int
    outcomes: tuple[Outcome, ...]
    changed: int = 0

    @property
    def complete(self) -> bool:
        """Say whether all that was asked for is there."""
        return self.configured >= self.wanted and not self.outcomes
