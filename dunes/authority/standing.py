"""The trust ledger's events, and what they add up to. Pure.

The score is the mean of a Beta distribution over good and bad evidence, as in the Beta
Reputation System (Jøsang and Ismail, 2002): `(good + 1) / (good + bad + 2)`. Nothing
known is 0.5. Older evidence fades by half in `HALF_LIFE_DAYS`, so that neither a good nor
a bad past lasts for ever. A person's own assessment counts like `SET_WEIGHT` events.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dunes.authority.model import Standing
from dunes.errors import DataError


class Kind(StrEnum):
    """What can be said of somebody."""

    VERIFIED = "verified"
    """It proved who it is."""
    FAILED = "failed-verification"
    """It answered a challenge, and wrongly."""
    REPLAY = "replay"
    """Messages came again that had come before."""
    BAD_MIC = "bad-mic"
    """Mesh messages under its address that no key of ours made."""
    SET = "set"
    """A person's own assessment, 0 to 1."""
    QUARANTINE = "quarantine"
    """Nothing that it asks for is allowed from now on, and no signature of it counts."""
    RELEASE = "release"
    """The quarantine is over."""
    REVOKE_TOKEN = "revoke-token"  # noqa: S105 - a word, no secret
    """A token counts no longer; the subject is its `jti`."""


WEIGHTS: Mapping[Kind, tuple[float, float]] = {
    Kind.VERIFIED: (1.0, 0.0),
    Kind.FAILED: (0.0, 2.0),
    Kind.REPLAY: (0.0, 0.05),
    Kind.BAD_MIC: (0.0, 0.1),
}
"""(good, bad) of one event. Replays and bad MICs weigh little: a message that took two ways, or
came late, looks like one."""
LOOK_MAX = 1.0
"""What replays or bad MICs weigh at most that were found at one look."""
SET_WEIGHT = 10.0
HALF_LIFE_DAYS = 30.0
_DAY_US = 86_400 * 1_000_000
COUNT_MAX = 1_000_000
REASON_MAX = 200


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the ledger.

    Attributes:
        subject: a device's, gateway's or key's name; a token's id.
        kind: what.
        at_us: when, µs since 1970.
        count: how many times.
        value: of `set`: 0 to 1; of `revoke-token`: when the token ends anyway, POSIX s.
        reason: for people.
    """

    subject: str
    kind: Kind
    at_us: int
    count: int = 1
    value: float | None = None
    reason: str = ""

    def encode(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        body: dict[str, Any] = {
            "subject": self.subject,
            "kind": str(self.kind),
            "at_us": self.at_us,
        }
        if self.count != 1:
            body["count"] = self.count
        if self.value is not None:
            body["value"] = self.value
        if self.reason:
            body["reason"] = self.reason
        return body


def read_event(body: Any) -> Event:
    """Read an event.

    Raises:
        DataError: it is none.
    """
    try:
        event = _event(body)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise DataError("an entry of the trust ledger cannot be read", code="bad-event") from e
    return event


def _event(body: Any) -> Event:
    """Read an event, or raise what tells that it is none."""
    subject, at_us, count = body["subject"], body["at_us"], body.get("count", 1)
    value, reason = body.get("value"), body.get("reason", "")
    texts = isinstance(subject, str) and isinstance(reason, str)
    if not texts or type(at_us) is not int or type(count) is not int:
        raise TypeError("a wrong type")
    kind = Kind(body["kind"])
    number = None if value is None else float(value)
    if not 0 < count <= COUNT_MAX or (kind is Kind.SET and not 0 <= (number or 0.0) <= 1):
        raise ValueError("out of range")
    return Event(subject, kind, at_us, count, number, reason)


@dataclass(slots=True)
class Tally:
    """What is known of one subject.

    Attributes:
        good: faded weight of good evidence.
        bad: faded weight of bad evidence.
        at_us: as of when.
        counts: events by kind, not faded.
        quarantined: the reason; empty if it is not.
        last_good_us: when it last proved who it is.
    """

    good: float = 0.0
    bad: float = 0.0
    at_us: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    quarantined: str = ""
    last_good_us: int = 0

    def fade(self, now_us: int) -> None:
        """Let older evidence count less."""
        if now_us > self.at_us:
            share = 0.5 ** ((now_us - self.at_us) / (HALF_LIFE_DAYS * _DAY_US))
            self.good, self.bad = self.good * share, self.bad * share
            self.at_us = now_us

    def add(self, event: Event) -> None:
        """Take an event in; an older one than the last counts as of the last."""
        self.fade(event.at_us)
        self.counts[event.kind] = self.counts.get(event.kind, 0) + event.count
        match event.kind:
            case Kind.SET:
                share = event.value or 0.0
                self.good, self.bad = share * SET_WEIGHT, (1 - share) * SET_WEIGHT
            case Kind.QUARANTINE:
                self.quarantined = event.reason or "no reason given"
            case Kind.RELEASE:
                self.quarantined = ""
            case Kind.VERIFIED | Kind.FAILED | Kind.REPLAY | Kind.BAD_MIC:
                good, bad = WEIGHTS[event.kind]
                self.good += good * event.count
                many = bad * event.count
                self.bad += many if event.kind is Kind.FAILED else min(LOOK_MAX, many)
                if event.kind is Kind.VERIFIED:
                    self.last_good_us = max(self.last_good_us, event.at_us)
            case Kind.REVOKE_TOKEN:
                pass

    def standing(self, now_us: int) -> Standing:
        """Give the score as of now."""
        faded = Tally(self.good, self.bad, self.at_us)
        faded.fade(now_us)
        return Standing((faded.good + 1) / (faded.good + faded.bad + 2), self.quarantined)


@dataclass(slots=True)
class Ledger:
    """All tallies, and the tokens that were revoked.

    Attributes:
        tallies: by subject.
        revoked: token id → when it ends anyway (POSIX s), or None.
        events: how many were taken in.
    """

    tallies: dict[str, Tally] = field(default_factory=dict)
    revoked: dict[str, float | None] = field(default_factory=dict)
    events: int = 0

    def add(self, events: Iterable[Event]) -> None:
        """Take events in, in their order."""
        for event in events:
            self.events += 1
            if event.kind is Kind.REVOKE_TOKEN:
                self.revoked[event.subject] = event.value
            else:
                self.tallies.setdefault(event.subject, Tally()).add(event)

    def standings(self, now_us: int) -> dict[str, Standing]:
        """Give everybody's standing as of now."""
        return {name: tally.standing(now_us) for name, tally in self.tallies.items()}

    def standing(self, subject: str, now_us: int) -> Standing:
        """Give one subject's standing."""
        found = self.tallies.get(subject)
        return Standing() if found is None else found.standing(now_us)
