"""How much is known of a device, and the verdict. Pure."""

from dataclasses import dataclass, field
from enum import IntEnum

from dunes.authority.policy import ASSURANCES


class Level(IntEnum):
    """What was reached; each says more than the one below it."""

    NONE = 0
    """Nothing of it was seen, and no key of it is trusted."""
    SEEN = 1
    """Readings under its name came lately, by this gateway's own feed. Who sent them is
    not known."""
    ENROLLED = 2
    """Besides, a key is trusted as its. It was not asked to use it."""
    MESH = 3
    """A node of our mesh answered just now under the device key it was given when it was
    provisioned."""
    CHALLENGE = 4
    """It signed fresh random bytes just now with the key that is trusted as its."""

    @property
    def word(self) -> str:
        """The level's name in policies and output."""
        return self.name.lower()


def level_of(assurance: str) -> Level:
    """Give the level that a scope asks for."""
    return Level(ASSURANCES.index(assurance) + 1)


MEANING = {
    Level.NONE: "nothing is known of it",
    Level.SEEN: "readings under its name came lately; who sent them is not known",
    Level.ENROLLED: "a key is trusted as its and readings came lately; it proved nothing now",
    Level.MESH: "it answered just now under its own device key in the mesh",
    Level.CHALLENGE: "it signed a fresh challenge just now with the key that is trusted as its",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: proof, key, telemetry, scope, token or standing.
        ok: it does not speak against the device.
        text: a sentence.
    """

    name: str
    ok: bool
    text: str


@dataclass(slots=True)
class Verdict:
    """What was found of one device.

    Attributes:
        device: its name.
        passed: PASS.
        level: what was reached: none, seen, enrolled, mesh or challenge.
        needed: what the scope asks for.
        meaning: the level in a sentence.
        kid: the key that it used or has; empty if none is known.
        standing: its score, 0 to 1.
        findings: all that was looked at.
        simulated: a simulated site played the device.
    """

    device: str
    passed: bool = False
    level: str = "none"
    needed: str = "mesh"
    meaning: str = ""
    kid: str = ""
    standing: float = 0.5
    findings: list[Finding] = field(default_factory=list)
    simulated: bool = False

    def add(self, name: str, ok: bool, text: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(name, ok, text))

    def conclude(self, level: Level, needed: Level) -> None:
        """Say PASS if the level is reached and nothing speaks against it."""
        self.level, self.needed, self.meaning = level.word, needed.word, MEANING[level]
        if level < needed:
            self.add("level", False, f"reached {level.word}; this scope needs {needed.word}")
        self.passed = all(finding.ok for finding in self.findings)


@dataclass(slots=True)
class VerifyReport:
    """Whether the devices of a scope are who they say they are.

    Attributes:
        scope: which.
        passed: all of them.
        at: when, RFC 3339.
        verifier: key id of this place.
        devices: a verdict each.
        receipt: file of the signed receipt; empty if none was asked for.
        recorded: events that went into the trust ledger.
        simulated: at least one device was played by a simulated site.
    """

    scope: str
    passed: bool
    at: str
    verifier: str
    devices: list[Verdict]
    receipt: str = ""
    recorded: int = 0
    simulated: bool = False
