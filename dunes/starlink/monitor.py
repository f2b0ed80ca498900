"""Say whether the link is up: a state machine without socket, clock or file.

It is given what a device answered (`receive_observation`) or that it did not
(`receive_silence`), and gives back the changes of state. The thresholds come from
what field software has settled on: 1 to 2 s of loss are ordinary handovers, so
a link is down after 8 s, and up again after 15 good ones::

    state          becomes             when
    unknown        up                  3 good samples at the end of the first look
    unknown, up    down:<cause>        8 samples lost in a row, or an outage 8 s old
    any            down:disabled       the account or the cell has no service
    down           up                  no outage and 15 good samples in a row
    any            unreachable         15 s without an answer (never answered: at once)
    unreachable    down:recovering     an answer; 15 good samples from here make it up

Samples are walked by the device's own counter, so each counts once whatever the
rhythm of the polls. State survives as a small dict between runs of a command.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from math import isnan
from typing import Any

from dunes.starlink.history import LOST, Outage, Ring, summary

LOST_SAMPLES_DOWN = 8
OUTAGE_AGE_DOWN_S = 8.0
GOOD_SAMPLES_UP = 15
GOOD_SAMPLES_FIRST = 3
GOOD_DROP_BELOW = 0.5
SILENCE_S = 15.0
FIRST_LOOK_SAMPLES = 15
MEMORY_S = 900.0
"""A saved state older than the device's own memory is forgotten."""

WINDOW_SAMPLES = 60
DEGRADED_DROP = 0.05
DEGRADED_LATENCY_MS = 150.0

NO_PINGS = "NO_PINGS"
RECOVERING = "recovering"
DISABLED = "disabled"
OPERATOR_MADE = frozenset({"STOWED", "SLEEPING", "ACTUATOR_ACTIVITY", "CABLE_TEST", "INHIBIT_RF"})
"""Causes that somebody chose: data is buffered, nobody is alarmed."""


class State(StrEnum):
    """What the monitor says of the link."""

    UNKNOWN = "unknown"
    """Not enough seen yet, or a device that tells nothing of its link."""
    UP = "up"
    DOWN = "down"
    UNREACHABLE = "unreachable"
    """The device does not answer: cable, power or local network; the sky is not known."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a device answered, as far as the link's state depends on it.

    Attributes:
        device: its id; another id starts anew.
        unix_s: when, by the device's clock where it tells it, else by ours.
        ring: its sample memory; None where it gives none.
        outage: the outage it is in.
        outages: those it remembers.
        bootcount: times it has booted; 0 where not told.
        disabled: why it has no service although its radio may be fine; empty if it has.
        impaired: what it says itself that slows the link, e.g. `thermal_throttle`.
        asleep: it sleeps by schedule.
    """

    device: str
    unix_s: float
    ring: Ring | None
    outage: Outage | None = None
    outages: tuple[Outage, ...] = ()
    bootcount: int = 0
    disabled: str = ""
    impaired: tuple[str, ...] = ()
    asleep: bool = False


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The link's state is another now.

    Attributes:
        state: the new state.
        cause: why, for `down`; empty otherwise.
        previous: the state before.
        since_unix_s: when the link itself changed, as the samples show; earlier than the poll.
    """

    state: State
    cause: str
    previous: State
    since_unix_s: float


@dataclass(frozen=True, slots=True)
class Link:
    """The link at the last observation.

    Attributes:
        state: up, down, unreachable or unknown.
        cause: of `down`: a name of the device's, `recovering`, `disabled`, or a number
            that newer firmware has; else empty.
        since_unix_s: since when; None before the first decision.
        degraded: why an up link is worse than it should be; empty if it is not.
        operator_made: somebody chose this (stowed, asleep): no alarm.
    """

    state: State
    cause: str
    since_unix_s: float | None
    degraded: tuple[str, ...]
    operator_made: bool


@dataclass(slots=True)
class Monitor:
    """The state machine. All fields survive in `save`, but for `_impaired` and `_asleep`."""

    outage_age_down_s: float = OUTAGE_AGE_DOWN_S
    state: State = State.UNKNOWN
    cause: str = ""
    since_unix_s: float | None = None
    device: str = ""
    bootcount: int = 0
    cursor: int | None = None
    """The counter of the next sample to look at."""
    lost_run: int = 0
    lost_since_unix_s: float = 0.0
    good_run: int = 0
    good_since_unix_s: float = 0.0
    answered_at_s: float | None = None
    """Monotonic time of the last answer."""
    outage_start_unix_s: float | None = None
    """Names the outage that the device is in, if any."""
    outage_seen_at_s: float = 0.0
    """Monotonic time at which that outage was first seen."""
    _degraded: tuple[str, ...] = ()
    _asleep: bool = False
    _changes: list[LinkChanged] = field(default_factory=list)

    @property
    def link(self) -> Link:
        """Say how the link is."""
        return Link(
            self.state,
            self.cause,
            self.since_unix_s,
            self._degraded if self.state is State.UP else (),
            self.state is State.DOWN and (self._asleep or self.cause in OPERATOR_MADE),
        )

    # ------------------------------------------------------------------ inputs

    def receive_observation(self, seen: Observation, now_s: float) -> list[LinkChanged]:
        """Take an answer of the device.

        Args:
            seen: what it said.
            now_s: monotonic seconds.

        Returns:
            The changes of state, oldest first.
        """
        if seen.device != self.device:
            self._forget(seen.device)
        self._asleep = seen.asleep
        outage_age_s = self._outage_age_s(seen.outage, now_s)
        self._note_boot(seen)
        if self.state is State.UNREACHABLE:
            self._come_back(seen)
        self.answered_at_s = now_s
        if seen.ring is not None:
            self._walk(seen.ring, seen, outage_age_s)
        self._decide(seen, outage_age_s)
        self._degraded = degraded(seen)
        return self._take_changes()

    def receive_silence(self, now_s: float, unix_s: float) -> list[LinkChanged]:
        """Take that the device did not answer.

        Args:
            now_s: monotonic seconds.
            unix_s: our wall clock.
        """
        silent_s = math.inf if self.answered_at_s is None else now_s - self.answered_at_s
        if silent_s >= SILENCE_S and self.state is not State.UNREACHABLE:
            since = unix_s if math.isinf(silent_s) else unix_s - silent_s
            self._become(State.UNREACHABLE, "", since)
        return self._take_changes()

    # ------------------------------------------------------------------ memory

    def save(self, now_s: float) -> dict[str, Any]:
        """Give the state as plain JSON values; times as ages, as monotonic clocks restart."""
        return {
            "state": self.state.value,
            "cause": self.cause,
            "since_unix_s": self.since_unix_s,
            "device": self.device,
            "bootcount": self.bootcount,
            "cursor": self.cursor,
            "lost_run": self.lost_run,
            "lost_since_unix_s": self.lost_since_unix_s,
            "good_run": self.good_run,
            "good_since_unix_s": self.good_since_unix_s,
            "silent_s": None if self.answered_at_s is None else now_s - self.answered_at_s,
            "outage_start_unix_s": self.outage_start_unix_s,
            "outage_seen_s": now_s - self.outage_seen_at_s,
        }

    @classmethod
    def restore(cls, saved: Mapping[str, Any], now_s: float, slept_s: float) -> "Monitor":
        """Go on from a saved state.

        Args:
            saved: what `save` gave; anything else starts anew.
            now_s: monotonic seconds.
            slept_s: seconds since it was saved; if that is longer than the device
                remembers, or the clock went back far, the state is forgotten.
        """
        if not -MEMORY_S < slept_s < MEMORY_S:
            return cls()
        slept_s = max(slept_s, 0.0)
        try:
            silent, since, cursor, outage = (
                saved["silent_s"],
                saved["since_unix_s"],
                saved["cursor"],
                saved["outage_start_unix_s"],
            )
            return cls(
                state=State(saved["state"]),
                cause=str(saved["cause"]),
                since_unix_s=None if since is None else float(since),
                device=str(saved["device"]),
                bootcount=int(saved["bootcount"]),
                cursor=None if cursor is None else int(cursor),
                lost_run=int(saved["lost_run"]),
                lost_since_unix_s=float(saved["lost_since_unix_s"]),
                good_run=int(saved["good_run"]),
                good_since_unix_s=float(saved["good_since_unix_s"]),
                answered_at_s=None if silent is None else now_s - float(silent) - slept_s,
                outage_start_unix_s=None if outage is None else float(outage),
                outage_seen_at_s=now_s - float(saved["outage_seen_s"]) - slept_s,
            )
        except (KeyError, TypeError, ValueError):
            return cls()

    # ------------------------------------------------------------------ parts

    def _forget(self, device: str) -> None:
        """Start anew: another device, other counters."""
        fresh = Monitor(outage_age_down_s=self.outage_age_down_s, device=device)
        for each in fields(self):
            setattr(self, each.name, getattr(fresh, each.name))

    def _outage_age_s(self, outage: Outage | None, now_s: float) -> float:
        """Say how old the present outage is: by its own account, or since we first saw it."""
        if outage is None:
            self.outage_start_unix_s = None
            return 0.0
        if outage.start_unix_s != self.outage_start_unix_s:
            self.outage_start_unix_s = outage.start_unix_s
            self.outage_seen_at_s = now_s
        return max(outage.duration_s, now_s - self.outage_seen_at_s)

    def _note_boot(self, seen: Observation) -> None:
        """Find the place to go on from if the device's counter does not continue ours."""
        if seen.bootcount and self.bootcount and seen.bootcount != self.bootcount:
            self.cursor = 0  # all that is there was sampled since the boot
        elif seen.ring is not None and self.cursor is not None and seen.ring.current < self.cursor:
            self.cursor = max(0, seen.ring.current - FIRST_LOOK_SAMPLES)
        self.bootcount = seen.bootcount or self.bootcount

    def _come_back(self, seen: Observation) -> None:
        """The device answers again: what it sampled meanwhile proves nothing about our path."""
        self.lost_run = self.good_run = 0
        if seen.ring is None:
            self._become(State.UNKNOWN, "", seen.unix_s)
        else:
            self.cursor = seen.ring.current
            self._become(State.DOWN, RECOVERING, self.since_unix_s or seen.unix_s)

    def _walk(self, ring: Ring, seen: Observation, outage_age_s: float) -> None:
        """Look at each new sample once."""
        fresh = ring.last(FIRST_LOOK_SAMPLES) if self.cursor is None else ring.samples(self.cursor)
        rises_before = ring.current
        if seen.disabled:
            rises_before = 0
        elif seen.outage is not None:
            rises_before -= math.ceil(outage_age_s)
        for sample in fresh:
            if isnan(sample.drop):
                continue
            began_unix_s = seen.unix_s - (ring.current - sample.counter)
            if sample.drop >= LOST:
                self._count_lost(began_unix_s)
            else:
                self._count_heard(sample.drop, began_unix_s)
            # an unknown link is judged by how the look ends, in `_decide`
            if self.state is State.UP and self.lost_run >= LOST_SAMPLES_DOWN:
                self._become(State.DOWN, self._cause(seen), self.lost_since_unix_s)
            elif self._may_rise() and sample.counter < rises_before:
                self._become(State.UP, "", self.good_since_unix_s)
        self.cursor = ring.current

    def _count_lost(self, began_unix_s: float) -> None:
        if not self.lost_run:
            self.lost_since_unix_s = began_unix_s
        self.lost_run += 1
        self.good_run = 0

    def _count_heard(self, drop: float, began_unix_s: float) -> None:
        self.lost_run = 0
        if drop >= GOOD_DROP_BELOW:
            self.good_run = 0
            return
        if not self.good_run:
            self.good_since_unix_s = began_unix_s
        self.good_run += 1

    def _may_rise(self) -> bool:
        return self.state is State.DOWN and self.good_run >= GOOD_SAMPLES_UP

    def _decide(self, seen: Observation, outage_age_s: float) -> None:
        """Judge the present, after the samples have been looked at."""
        if seen.disabled:
            self._become(State.DOWN, DISABLED, seen.unix_s)
        elif seen.outage is not None and outage_age_s >= self.outage_age_down_s:
            self._become(State.DOWN, seen.outage.cause, seen.unix_s - outage_age_s)
        elif self.state is State.UNKNOWN:
            if self.lost_run >= LOST_SAMPLES_DOWN:
                self._become(State.DOWN, self._cause(seen), self.lost_since_unix_s)
            elif self.good_run >= GOOD_SAMPLES_FIRST and seen.outage is None:
                self._become(State.UP, "", _good_since(seen))
        elif self._may_rise() and seen.outage is None:
            self._become(State.UP, "", self.good_since_unix_s)
        elif self.state is State.DOWN and seen.outage is not None:
            self.cause = seen.outage.cause

    def _cause(self, seen: Observation) -> str:
        """Find what the device says of the run of lost samples; `NO_PINGS` where nothing."""
        if seen.outage is not None:
            return seen.outage.cause
        for outage in seen.outages:
            end = outage.start_unix_s + outage.duration_s
            if end > self.lost_since_unix_s and outage.start_unix_s < seen.unix_s:
                return outage.cause
        return NO_PINGS

    def _become(self, state: State, cause: str, since_unix_s: float) -> None:
        if state is not self.state:
            self._changes.append(LinkChanged(state, cause, self.state, since_unix_s))
            self.since_unix_s = since_unix_s
        self.state, self.cause = state, cause

    def _take_changes(self) -> list[LinkChanged]:
        changes, self._changes = self._changes, []
        return changes


def _good_since(seen: Observation) -> float:
    """Say since when a link that was never looked at before has been up, by its ring."""
    if seen.ring is None:
        return seen.unix_s
    return seen.unix_s - (seen.ring.current - seen.ring.after_last_run(LOST_SAMPLES_DOWN))


def degraded(seen: Observation) -> tuple[str, ...]:
    """Say why the link is worse than it should be: loss, latency, what the device says."""
    reasons = list(seen.impaired)
    if seen.ring is not None:
        window = summary(seen.ring.last(WINDOW_SAMPLES))
        if window.mean_drop > DEGRADED_DROP:
            reasons.append("loss")
        if window.median_latency_ms > DEGRADED_LATENCY_MS:
            reasons.append("latency")
    return tuple(reasons)
