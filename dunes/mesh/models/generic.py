"""Generic OnOff and Generic Level messages (Mesh Model 1.1, 3.2.1, 3.2.2).

A new command takes a new transaction number (`tid`); a repeated one within 6 s keeps it.
Transition times and delays are optional, and go together.
"""

from dataclasses import dataclass
from typing import Annotated

from dunes.errors import LocalError
from dunes.mesh.wire import S16, S32, U8, Message, ModelId, OptionalU8, Wire, table

ONOFF_SERVER, ONOFF_CLIENT = ModelId(0x1000), ModelId(0x1001)
LEVEL_SERVER, LEVEL_CLIENT = ModelId(0x1002), ModelId(0x1003)

TID_S = 6.0
"""The same `tid` from the same source within this time is the same command."""
LEVEL_MIN, LEVEL_MAX = -0x8000, 0x7FFF
TRANSITION_STEPS_MAX = 62
TRANSITION_MAX_S = 37200.0
TRANSITION_UNKNOWN = 0x3F
RESOLUTIONS_S = (0.1, 1.0, 10.0, 600.0)
DELAY_STEP_S = 0.005


def transition_octet(transition_s: float) -> int:
    """Pack a transition time (3.1.3)."""
    for resolution, step_s in enumerate(RESOLUTIONS_S):
        steps = round(transition_s / step_s)
        if steps <= TRANSITION_STEPS_MAX:
            return steps | resolution << 6
    raise LocalError(f"a transition of {transition_s} s cannot be said: at most 37200")


def read_transition_octet(octet: int) -> float | None:
    """Give a transition time in seconds; None: unknown."""
    steps = octet & TRANSITION_UNKNOWN
    return None if steps == TRANSITION_UNKNOWN else steps * RESOLUTIONS_S[octet >> 6]


OptionalS16 = Wire(
    2,
    lambda value: int(value).to_bytes(2, "little", signed=True),
    lambda data: int.from_bytes(data, "little", signed=True),
    optional=True,
)


@dataclass(frozen=True, slots=True)
class OnOffGet(Message, opcode=0x8201):
    """Ask whether it is on."""


@dataclass(frozen=True, slots=True)
class OnOffSet(Message, opcode=0x8202):
    """Switch it, and answer."""

    state: U8
    tid: U8
    transition: OptionalU8 = None
    delay: OptionalU8 = None


@dataclass(frozen=True, slots=True)
class OnOffSetUnacknowledged(Message, opcode=0x8203):
    """Switch it."""

    state: U8
    tid: U8
    transition: OptionalU8 = None
    delay: OptionalU8 = None


@dataclass(frozen=True, slots=True)
class OnOffStatus(Message, opcode=0x8204):
    """Whether it is on, and on its way to what."""

    present: U8
    target: OptionalU8 = None
    remaining: OptionalU8 = None


@dataclass(frozen=True, slots=True)
class LevelGet(Message, opcode=0x8205):
    """Ask for the level."""


@dataclass(frozen=True, slots=True)
class LevelSet(Message, opcode=0x8206):
    """Set the level, and answer."""

    level: S16
    tid: U8
    transition: OptionalU8 = None
    delay: OptionalU8 = None


@dataclass(frozen=True, slots=True)
class LevelSetUnacknowledged(Message, opcode=0x8207):
    """Set the level."""

    level: S16
    tid: U8
    transition: OptionalU8 = None
    delay: OptionalU8 = None


@dataclass(frozen=True, slots=True)
class LevelDeltaSet(Message, opcode=0x8209):
    """Change the level by so much, and answer; the same `tid` adds up from where it began."""

    delta: S32
    tid: U8
    transition: OptionalU8 = None
    delay: OptionalU8 = None


@dataclass(frozen=True, slots=True)
class LevelDeltaSetUnacknowledged(Message, opcode=0x820A):
    """Change the level by so much."""

    delta: S32
    tid: U8
    transition: OptionalU8 = None
    delay: OptionalU8 = None


@dataclass(frozen=True, slots=True)
class LevelMoveSet(Message, opcode=0x820B):
    """Move the level by so much per transition time, and answer; 0 stops."""

    delta: S16
    tid: U8
    transition: OptionalU8 = None
    delay: OptionalU8 = None


@dataclass(frozen=True, slots=True)
class LevelMoveSetUnacknowledged(Message, opcode=0x820C):
    """Move the level by so much per transition time."""

    delta: S16
    tid: U8
    transition: OptionalU8 = None
    delay: OptionalU8 = None


@dataclass(frozen=True, slots=True)
class LevelStatus(Message, opcode=0x8208):
    """The level, and on its way to what."""

    present: S16
    target: Annotated[int | None, OptionalS16] = None
    remaining: OptionalU8 = None


ONOFF_MESSAGES = table(OnOffGet, OnOffSet, OnOffSetUnacknowledged, OnOffStatus)
LEVEL_MESSAGES = table(
    LevelGet,
    LevelSet,
    LevelSetUnacknowledged,
    LevelDeltaSet,
    LevelDeltaSetUnacknowledged,
    LevelMoveSet,
    LevelMoveSetUnacknowledged,
    LevelStatus,
)
