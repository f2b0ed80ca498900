"""The trust ledger for people: what is known of whom, and what to do about it."""

from dataclasses import dataclass

from dunes.authority.model import Standing
from dunes.authority.standing import Ledger, Tally
from dunes.clock import rfc3339


@dataclass(frozen=True, slots=True)
class TrustRow:
    """What is known of one subject.

    Attributes:
        subject: a device, gateway or key.
        score: 0 to 1; 0.5 where nothing is known.
        quarantined: the reason; empty if it is not.
        verified: times it proved who it is.
        failed: times it answered wrongly.
        replays: messages that came again.
        bad_mics: mesh messages under its address that no key of ours made.
        last_proof: when it proved itself last, RFC 3339; null if never.
    """

    subject: str
    score: float
    quarantined: str
    verified: int
    failed: int
    replays: int
    bad_mics: int
    last_proof: str | None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How trust stands at this place.

    Attributes:
        kid: this place's key; empty if it has none.
        trusted: keys that are believed here.
        devices: of those, devices'.
        policies: version of the local policies; 0 without any.
        policies_signed: they are as they were signed last; null if there are none.
        restrictions: rules that deny.
        trust: what is known of whom: quarantined first, then the worst.
        revoked_tokens: tokens that count no longer.
        ledger_events: entries of the trust ledger.
        decisions: number of the last line of the record.
        decisions_intact: the record is whole; null if there is none.
        decisions_signed: last line that this place's key signed for.
    """

    kid: str
    trusted: int
    devices: int
    policies: int
    policies_signed: bool | None
    restrictions: int
    trust: tuple[TrustRow, ...]
    revoked_tokens: int
    ledger_events: int
    decisions: int
    decisions_intact: bool | None
    decisions_signed: int


@dataclass(frozen=True, slots=True)
class ReputationReport:
    """How far somebody is trusted.

    Attributes:
        enough: the score reaches the floor, and there is no quarantine.
        floor: what was asked for.
        trust: what is known.
        log_index: where a change stands in the transparency log; null without one.
    """

    enough: bool
    floor: float
    trust: TrustRow
    log_index: int | None = None


def row_of(subject: str, tally: Tally | None, standing: Standing) -> TrustRow:
    """Describe one subject."""
    found = tally or Tally()
    counts = found.counts
    return TrustRow(
        subject,
        round(standing.score, 3),
        standing.quarantined,
        counts.get("verified", 0),
        counts.get("failed-verification", 0),
        counts.get("replay", 0),
        counts.get("bad-mic", 0),
        rfc3339(found.last_good_us) if found.last_good_us else None,
    )


def rows_of(ledger: Ledger, now_us: int) -> tuple[TrustRow, ...]:
    """Describe everybody about whom something is known: the quarantined first, then the worst."""
    rows = [row_of(name, tally, tally.standing(now_us)) for name, tally in ledger.tallies.items()]
    return tuple(sorted(rows, key=lambda row: (not row.quarantined, row.score, row.subject)))
