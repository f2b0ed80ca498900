"""Verify the devices of a scope: proof, key, readings, scope, token, standing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dunes.authority.challenge import Challenge
from dunes.authority.decide import scopes_of
from dunes.authority.gate import Gate
from dunes.authority.model import Subject
from dunes.authority.policy import Policies, Scope, matches_any
from dunes.authority.standing import Event, Kind, Ledger
from dunes.authority.token import Authorities, check_token, read_token
from dunes.clock import SYSTEM_CLOCK, US_PER_S, Clock, rfc3339
from dunes.crypto.truststore import TrustStore
from dunes.errors import DunesError, NotFound
from dunes.model import check_name
from dunes.settings import Settings
from dunes.site import Site
from dunes.text import printable
from dunes.units import show_duration
from sakina.verification.known import (
    DeviceKey,
    LastReadings,
    SiteDevices,
    device_key,
    devices_of_scope,
    last_readings,
)
from sakina.verification.prove import (
    NOT_ASKED,
    Agent,
    MeshProver,
    Proof,
    challenge_device,
    judge_answer,
)
from sakina.verification.verdict import Level, Verdict, VerifyReport, level_of

AGAIN_US = 3600 * US_PER_S
"""A device that proved itself within this time gets no further good mark for it."""


@dataclass(slots=True)
class Asking:
    """What the caller brings along.

    Attributes:
        agent: where the device's agent listens, if one was named.
        answers: challenges that were handed over as files, with the answers that came back.
        tokens: tokens, by the device they are for.
        timeout_s: how long one device may take.
    """

    agent: Agent | None = None
    answers: dict[str, tuple[Challenge, bytes]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    timeout_s: float = 5.0


@dataclass(slots=True)
class Verifier:
    """Everything a verification looks at, read once.

    Attributes:
        settings: as loaded.
        scope: which scope the devices are to have.
        policies: what holds here.
        ledger: what is known of everybody.
        store: which keys are trusted here.
        site: devices of the running simulated site.
        site_agent: where that answers for them.
        authorities: whose tokens count.
        kid: of this place.
        clock: ours.
        mesh: asks nodes of the mesh; None where there is none.
    """

    settings: Settings
    scope: Scope
    policies: Policies
    ledger: Ledger
    store: TrustStore
    site: SiteDevices
    site_agent: Agent | None
    authorities: Authorities
    kid: str
    clock: Clock = SYSTEM_CLOCK
    mesh: MeshProver | None = None
    heard: LastReadings = field(default_factory=LastReadings)
    failures: dict[str, str] = field(default_factory=dict)
    proven: list[str] = field(default_factory=list)

    def run(self, devices: Sequence[str], asking: Asking) -> VerifyReport:
        """Verify devices; all that the scope is about, if none is named.

        Raises:
            NotFound: none is named, and none is known.
        """
        now_us = self.clock.unix_us()
        self.heard = last_readings(self.settings, self.scope, now_us)
        names = [check_name(name, "device") for name in devices] or devices_of_scope(
            self.scope, self.site, self.heard.at_us, self.store.device_names()
        )
        if not names:
            raise NotFound(
                f"no device is known that the scope {self.scope.name} is about",
                hint="--device NAME; dunes keys trust FILE.pub.maml --role device",
                code="no-device",
            )
        verdicts = [self.verify(name, asking) for name in names]
        return VerifyReport(
            self.scope.name,
            all(verdict.passed for verdict in verdicts),
            rfc3339(now_us),
            self.kid,
            verdicts,
            simulated=any(verdict.simulated for verdict in verdicts),
        )

    def verify(self, device: str, asking: Asking) -> Verdict:
        """Verify one device."""
        now_us = self.clock.unix_us()
        verdict = Verdict(device)
        known = device_key(device, self.store, self.site, now_us)
        proof = self._prove(device, known, asking)
        fresh = self._telemetry(verdict, device, now_us, proof.level)
        level = proof.level
        if level is Level.NONE and fresh:
            level = Level.ENROLLED if known.believed else Level.SEEN
        verdict.simulated = (
            known.simulated
            or proof.simulated
            or (level <= Level.ENROLLED and device in self.heard.simulated)
        )
        verdict.kid = known.key.kid if known.key is not None else ""
        self._proof_finding(verdict, known, proof)
        scopes = self._token_scopes(verdict, device, asking, now_us)
        # a node that answered under its device key is a device, as is one with a trusted key
        in_mesh = proof.level is Level.MESH
        roles = known.roles or frozenset({"device"} if in_mesh else ())
        self._scope_finding(verdict, Subject("device", device, scopes, roles), now_us)
        self._standing_finding(verdict, device, now_us)
        verdict.conclude(level, level_of(self.scope.assurance))
        if proof.failed and not verdict.simulated:
            self.failures[device] = proof.text
        elif proof.level >= Level.MESH and not verdict.simulated:
            self.proven.append(device)
        return verdict

    def evidence(self) -> list[Event]:
        """Give what the trust ledger is to learn: failures, and proofs at most once an hour.

        What a simulated site's devices did says nothing about real ones: it is left out.
        """
        now_us = self.clock.unix_us()
        events = [
            Event(device, Kind.FAILED, now_us, reason=text[:200])
            for device, text in sorted(self.failures.items())
        ]
        for device in self.proven:
            tally = self.ledger.tallies.get(device)
            if tally is None or now_us - tally.last_good_us >= AGAIN_US:
                events.append(Event(device, Kind.VERIFIED, now_us))
        return events

    # -- parts ----------------------------------------------------------------------------

    def _prove(self, device: str, known: DeviceKey, asking: Asking) -> Proof:
        """Ask the device in the strongest way there is."""
        said = NOT_ASKED
        if known.key is not None and known.believed:
            if device in asking.answers:
                challenge, data = asking.answers[device]
                return judge_answer(challenge, data, known.key, self.clock)
            agent = self.site_agent if known.simulated else asking.agent
            if agent is not None:
                said = challenge_device(
                    device, known.key, agent, self.kid, self.clock, asking.timeout_s
                )
        if said.level is Level.NONE and not said.failed and self.mesh is not None:
            answered = self.mesh.prove(device, asking.timeout_s)
            if answered.level > said.level or not said.text:
                return answered
        return said

    def _telemetry(self, verdict: Verdict, device: str, now_us: int, proven: Level) -> bool:
        """Look when it was last heard; who proved itself just now need not have been."""
        at_us = self.heard.at_us.get(device)
        if at_us is not None:
            age = show_duration(max(0.0, (now_us - at_us) / US_PER_S))
            verdict.add("telemetry", True, f"last reading {age} ago, by this gateway's own feed")
            return True
        within = show_duration(self.scope.fresh_s)
        text = f"no reading within {within} in a table of this scope"
        if unreadable := self.heard.unreadable:
            text += f"; frames there that cannot be opened here: {unreadable}"
        verdict.add("telemetry", proven >= Level.MESH, text)
        return False

    def _proof_finding(self, verdict: Verdict, known: DeviceKey, proof: Proof) -> None:
        good = proof.level >= Level.MESH
        if not (proof.level is Level.MESH and known.key is None):
            verdict.add("key", known.believed, known.text)
        if good or proof.failed:
            verdict.add("proof", good, proof.text)
        else:
            text = proof.text or "it was not asked: no agent is named, and no mesh is at hand"
            verdict.add("proof", level_of(self.scope.assurance) < Level.MESH, text)

    def _token_scopes(
        self, verdict: Verdict, device: str, asking: Asking, now_us: int
    ) -> frozenset[str]:
        """Give the scopes of the token that was brought along for a device."""
        if (text := asking.tokens.get(device)) is None:
            return frozenset()
        try:
            token = read_token(text)
        except DunesError as e:
            verdict.add("token", False, e.message)
            return frozenset()
        checked = check_token(token, self.authorities, now_us / US_PER_S)
        claims = token.claims
        if claims.sub != device:
            checked.add("subject", False, f"it is for {printable(claims.sub)}")
        if claims.cnf and claims.cnf != verdict.kid:
            checked.add("binding", False, f"it is bound to key {claims.cnf}")
        for check in checked.checks:
            if not check.ok:
                verdict.add("token", False, check.text)
        if not checked.ok:
            return frozenset()
        verdict.add("token", True, f"gives {', '.join(sorted(checked.scopes))}")
        return checked.scopes

    def _scope_finding(self, verdict: Verdict, subject: Subject, now_us: int) -> None:
        """Look whether the device has the scope, by a grant or by a token."""
        held = {scope.name for scope in scopes_of(subject, self.policies, now_us)}
        wanted = self.scope
        if wanted.name not in held:
            text = f"neither a grant nor a token gives it {wanted.name}"
            verdict.add("scope", False, text)
        elif not matches_any(wanted.devices, subject.id):
            verdict.add("scope", False, f"{wanted.name} is not about devices of this name")
        else:
            verdict.add("scope", True, f"it has {wanted.name}")

    def _standing_finding(self, verdict: Verdict, device: str, now_us: int) -> None:
        standing = self.ledger.standing(device, now_us)
        verdict.standing = round(standing.score, 3)
        if standing.quarantined:
            verdict.add("standing", False, f"it is in quarantine: {standing.quarantined}")
        else:
            floor = self.scope.min_standing
            text = f"{standing.score:.2f}; this scope needs {floor:g}"
            verdict.add("standing", standing.score >= floor, text)


def open_verifier(
    settings: Settings, scope: str, site: Site | None, mesh: MeshProver | None = None
) -> Verifier:
    """Read everything that a verification looks at.

    Raises:
        NotFound: no such scope.
    """
    from dunes.sim.agents import AGENT
    from dunes.site import resolve
    from sakina.authorities import load_authorities

    gate = Gate(settings.paths)
    policies = gate.policies()
    if scope not in policies.scopes:
        from difflib import get_close_matches

        near = get_close_matches(scope, policies.scopes, n=2, cutoff=0.4)
        hint = "did you mean " + " or ".join(near) + "?" if near else "sakina scope-list"
        raise NotFound(f"no scope {scope[:60]!r}", hint=hint, code="unknown-scope")
    agent = None
    if site is not None and AGENT in site.endpoints:
        host, _, port = AGENT.rpartition(":")
        agent = Agent(*resolve(host, int(port), site))
    authorities, kid = load_authorities(settings.paths, SYSTEM_CLOCK.unix_us())
    return Verifier(
        settings,
        policies.scopes[scope],
        policies,
        gate.ledger(),
        TrustStore.at(settings.paths),
        SiteDevices.of(settings, site),
        agent,
        authorities,
        kid,
        mesh=mesh,
    )
