"""Generic OnOff and Generic Level servers: actuators (Mesh Model 1.1, 3.3.1, 3.3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from dunes.mesh.models import generic
from dunes.mesh.models.generic import (
    DELAY_STEP_S,
    LEVEL_MAX,
    LEVEL_MIN,
    TRANSITION_MAX_S,
    read_transition_octet,
    transition_octet,
)
from dunes.mesh.models.server import Context, Outcome, Server, Transactions
from dunes.mesh.wire import Message, ModelId


@dataclass(frozen=True, slots=True)
class ActuatorSet:
    """Somebody commanded an actuator.

    Attributes:
        model: OnOff or Level.
        value: 0 or 1; -32768 to 32767.
        src: who.
        transition_s: how long the way there takes.
    """

    model: ModelId
    value: int
    src: int
    transition_s: float


@dataclass(slots=True)
class Glide:
    """A state on its way: at `start` until `begin_s`, at `target` from `end_s` on."""

    start: int = 0
    target: int = 0
    begin_s: float = 0.0
    end_s: float = 0.0

    def value(self, now_s: float) -> int:
        """Give the state as of now, in between a straight line."""
        if now_s >= self.end_s:
            return self.target
        if now_s <= self.begin_s:
            return self.start
        part = (now_s - self.begin_s) / (self.end_s - self.begin_s)
        return self.start + round((self.target - self.start) * part)

    def moving(self, now_s: float) -> bool:
        """Say whether it is on its way."""
        return now_s < self.end_s

    def go(self, target: int, now_s: float, transition: int | None, delay: int | None) -> float:
        """Set out for a value; gives the seconds it takes."""
        wait_s = (delay or 0) * DELAY_STEP_S
        way_s = read_transition_octet(transition or 0) or 0.0
        self.start, self.target = self.value(now_s), target
        self.begin_s, self.end_s = now_s + wait_s, now_s + wait_s + way_s
        return wait_s + way_s

    def remaining(self, now_s: float) -> int:
        """Give the octet of the time that is left."""
        return transition_octet(min(max(self.end_s - now_s, 0.0), TRANSITION_MAX_S))


@dataclass(slots=True)
class OnOffServer(Server):
    """Something that is on or off."""

    model: ClassVar[ModelId] = generic.ONOFF_SERVER
    messages: ClassVar[Mapping[int, type[Message]]] = generic.ONOFF_MESSAGES
    glide: Glide = field(default_factory=Glide)
    _transactions: Transactions = field(default_factory=Transactions)

    def state(self, now_s: float) -> int:
        """Give the state: on from the begin of a way to on, until the end of one to off."""
        if self.glide.moving(now_s) and now_s >= self.glide.begin_s:
            return int(bool(self.glide.start or self.glide.target))
        return self.glide.value(now_s)

    def receive(self, message: Message, context: Context) -> Outcome:
        """Take a message."""
        outcome = Outcome()
        match message:
            case generic.OnOffSet() | generic.OnOffSetUnacknowledged():
                if message.state > 1:
                    return outcome
                if self._transactions.is_new(context, message.tid):
                    way_s = self.glide.go(
                        message.state, context.now_s, message.transition, message.delay
                    )
                    outcome.events.append(
                        ActuatorSet(self.model, message.state, context.message.src, way_s)
                    )
                    outcome.publish.append(self._status(context.now_s))
                if isinstance(message, generic.OnOffSet):
                    outcome.replies.append(self._status(context.now_s))
            case generic.OnOffGet():
                outcome.replies.append(self._status(context.now_s))
        return outcome

    def publication(self, now_s: float) -> Message:
        """Publish the state."""
        return self._status(now_s)

    def _status(self, now_s: float) -> Message:
        if not self.glide.moving(now_s):
            return generic.OnOffStatus(self.state(now_s))
        return generic.OnOffStatus(
            self.state(now_s), self.glide.target, self.glide.remaining(now_s)
        )


@dataclass(slots=True)
class LevelServer(Server):
    """Something between -32768 and 32767: a valve, a heater."""

    model: ClassVar[ModelId] = generic.LEVEL_SERVER
    messages: ClassVar[Mapping[int, type[Message]]] = generic.LEVEL_MESSAGES
    glide: Glide = field(default_factory=Glide)
    _transactions: Transactions = field(default_factory=Transactions)
    _delta_from: int = 0

    def receive(self, message: Message, context: Context) -> Outcome:
        """Take a message."""
        outcome = Outcome()
        now_s = context.now_s
        match message:
            case generic.LevelSet() | generic.LevelSetUnacknowledged():
                if self._transactions.is_new(context, message.tid):
                    self._go(message.level, message.transition, message.delay, context, outcome)
            case generic.LevelDeltaSet() | generic.LevelDeltaSetUnacknowledged():
                if self._transactions.is_new(context, message.tid):
                    self._delta_from = self.glide.value(now_s)
                target = self._delta_from + message.delta
                self._go(target, message.transition, message.delay, context, outcome)
            case generic.LevelMoveSet() | generic.LevelMoveSetUnacknowledged():
                if self._transactions.is_new(context, message.tid):
                    self._move(message, context, outcome)
            case generic.LevelGet():
                pass
            case _:
                return outcome
        if not type(message).__name__.endswith("Unacknowledged"):
            outcome.replies.append(self._status(now_s))
        return outcome

    def publication(self, now_s: float) -> Message:
        """Publish the level."""
        return self._status(now_s)

    def _go(
        self,
        target: int,
        transition: int | None,
        delay: int | None,
        context: Context,
        outcome: Outcome,
    ) -> None:
        level = min(max(target, LEVEL_MIN), LEVEL_MAX)
        way_s = self.glide.go(level, context.now_s, transition, delay)
        outcome.events.append(ActuatorSet(self.model, level, context.message.src, way_s))
        outcome.publish.append(self._status(context.now_s))

    def _move(
        self,
        message: generic.LevelMoveSet | generic.LevelMoveSetUnacknowledged,
        context: Context,
        outcome: Outcome,
    ) -> None:
        """Move on to the end of the range; without a delta, or without a time, stop."""
        now_s = context.now_s
        step_s = read_transition_octet(message.transition or 0) or 0.0
        here = self.glide.value(now_s)
        target = here
        if message.delta and step_s:
            target = LEVEL_MAX if message.delta > 0 else LEVEL_MIN
        wait_s = (message.delay or 0) * DELAY_STEP_S
        way_s = abs(target - here) / abs(message.delta) * step_s if target != here else 0.0
        self.glide.start, self.glide.target = here, target
        self.glide.begin_s, self.glide.end_s = now_s + wait_s, now_s + wait_s + way_s
        outcome.events.append(ActuatorSet(self.model, target, context.message.src, way_s))
        outcome.publish.append(self._status(now_s))

    def _status(self, now_s: float) -> Message:
        here = self.glide.value(now_s)
        if not self.glide.moving(now_s):
            return generic.LevelStatus(here)
        return generic.LevelStatus(here, self.glide.target, self.glide.remaining(now_s))
