"""Ask a device to prove who it is: by a challenge, or as a node of the mesh."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dunes.authority.agent import request_answer
from dunes.authority.challenge import LIFETIME_S, BadAnswer, Challenge, check_answer
from dunes.clock import US_PER_S, Clock
from dunes.crypto.errors import BadSignature
from dunes.crypto.signing import VerifyKey
from dunes.errors import Unavailable, UsageError
from dunes.site import Site, resolve
from dunes.text import printable
from sakina.verification.verdict import Level

PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of asking.

    Attributes:
        level: what it proves; NONE if nothing.
        failed: it answered, and wrongly: evidence against it.
        text: a sentence.
        simulated: a simulated site played the device.
    """

    level: Level
    failed: bool
    text: str
    simulated: bool = False


NOT_ASKED = Proof(Level.NONE, failed=False, text="")


class MeshProver(Protocol):
    """Asks nodes of the mesh; what the gateway's mesh room gives, if a mesh is there."""

    def prove(self, device: str, timeout_s: float) -> Proof:
        """Ask one node under its device key."""
        ...


@dataclass(frozen=True, slots=True)
class Agent:
    """Where a device's agent listens."""

    host: str
    port: int
    simulated: bool


def parse_agent(text: str, site: Site | None) -> Agent:
    """Read `HOST:PORT`; a simulated site's address leads to the site.

    Raises:
        UsageError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdigit() and int(port[:6]) <= PORT_MAX):
        raise UsageError(f"{text[:80]!r} is not HOST:PORT", hint="127.0.0.1:7043")
    return Agent(*resolve(host.strip("[]"), int(port), site))


def challenge_device(
    device: str,
    key: VerifyKey,
    agent: Agent,
    verifier: str,
    clock: Clock,
    timeout_s: float,
    random: Callable[[int], bytes] = os.urandom,
) -> Proof:
    """Send a challenge to a device's agent, and check what it answers.

    Args:
        device: whom.
        key: the one that is trusted as its.
        agent: where it listens.
        verifier: our key id.
        clock: for the challenge's end.
        timeout_s: how long to wait.
        random: gives fresh random bytes.
    """
    now_s = clock.unix_us() // US_PER_S
    asked = Challenge(device, verifier, random(32), now_s, now_s + LIFETIME_S)
    try:
        said = request_answer(agent.host, agent.port, asked.encode(), timeout_s)
    except Unavailable as e:
        return Proof(Level.NONE, failed=False, text=e.message)
    except BadAnswer as e:
        return Proof(Level.NONE, failed=False, text=printable(e.message, 300))
    return judge_answer(asked, said, key, clock)


def judge_answer(asked: Challenge, said: bytes, key: VerifyKey, clock: Clock) -> Proof:
    """Say what an answer proves."""
    try:
        check_answer(asked, said, key, clock.unix_us() / US_PER_S)
    except (BadAnswer, BadSignature) as e:
        return Proof(Level.NONE, failed=True, text=printable(e.message, 300))
    return Proof(Level.CHALLENGE, failed=False, text=f"signed the challenge with key {key.kid}")
