"""Verifying devices: honest ones, liars, silent ones; levels and evidence."""

import contextlib
import os
import socket
import threading
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from dunes.authority.agent import AgentServer
from dunes.authority.challenge import FILE_LIFETIME_S, BadAnswer, Challenge, answer
from dunes.authority.ledger import append_events, load_ledger
from dunes.authority.policy import Document, Grant, Scope
from dunes.authority.record import Recorder
from dunes.authority.standing import Event, Kind
from dunes.authority.store import save_policies
from dunes.authority.token import Claims, make_token
from dunes.buffer.appender import Appender
from dunes.buffer.store import open_buffer
from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.crypto import entropy
from dunes.crypto.identity import create_identity, make_keys
from dunes.crypto.keywriter import RANDOM_BYTES, Description, write_key_document
from dunes.crypto.truststore import Role, TrustStore
from dunes.errors import NotFound
from dunes.model import Reading
from dunes.paths import find_paths
from dunes.settings import load
from sakina.verification.engine import Asking, open_verifier
from sakina.verification.handed import new_challenge, spend_challenge
from sakina.verification.prove import Agent, Proof, judge_answer
from sakina.verification.verdict import Level

NAME = "hab-sensor-001"


def make_device(name, role="device"):
    """Give a new device's keys and its public document."""
    pair = make_keys(name, entropy.mix(None, os.urandom(entropy.OS_BYTES)))
    about = Description(role, "a test", SYSTEM_CLOCK.unix_us())
    return pair, write_key_document(pair, about, os.urandom(RANDOM_BYTES))


@contextlib.contextmanager
def serving(answer_for):
    """Run an agent on loopback; gives where it listens."""
    server = AgentServer("127.0.0.1", 0, answer_for)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Agent("127.0.0.1", server.server_port, simulated=False)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def paths(tmp_path):
    return find_paths({"DUNES_HOME": str(tmp_path / "dunes")})


@dataclass
class Place:
    """A gateway."""

    paths: object
    identity: object
    settings: object

    @property
    def store(self):
        return TrustStore.at(self.paths)

    def trust(self, name, *roles):
        """Make a device, trust its key, and give its keys."""
        pair, document = make_device(name)
        self.store.add(document, roles or (Role.DEVICE,), SYSTEM_CLOCK.unix_us())
        return pair

    def hear(self, device, table="lunar_telemetry", age_s=3, *, simulated=False):
        """Take in a reading of a device."""
        with open_buffer(self.settings, "gw-1") as buffer:
            appender = Appender(buffer, table, signer=self.identity.signing)
            at_us = SYSTEM_CLOCK.unix_us() - age_s * 1_000_000
            appender.add(Reading(device, "co2", 600.0, "ppm", at_us, simulated=simulated))
            appender.close()

    def verifier(self, scope="telemetry", mesh=None):
        return open_verifier(self.settings, scope, None, mesh)


@pytest.fixture
def place(paths, tmp_path):
    identity = create_identity(paths)
    return Place(paths, identity, load({}, paths=paths, folder=tmp_path))


def honest(name, pair):
    """Answer as the device does."""
    return lambda data: answer(data, name, pair.signing, SYSTEM_CLOCK.unix_us() / 1e6)


def wrong(verdict):
    return {finding.name: finding.text for finding in verdict.findings if not finding.ok}


def asked(place, asking=None, scope="telemetry", mesh=None, device=NAME):
    verifier = place.verifier(scope, mesh)
    report = verifier.run([device], asking or Asking(timeout_s=1.0))
    return verifier, report.devices[0]


def recorder(place):
    return Recorder(place.paths, place.identity)


def test_a_device_that_signs_our_challenge_passes(place):
    pair = place.trust(NAME)
    with serving(honest(NAME, pair)) as agent:
        verifier, verdict = asked(place, Asking(agent))
    assert (True, "challenge", {}) == (verdict.passed, verdict.level, wrong(verdict))
    assert [Kind.VERIFIED] == [event.kind for event in verifier.evidence()]


def test_a_proof_is_counted_once_an_hour(place):
    pair = place.trust(NAME)
    with serving(honest(NAME, pair)) as agent:
        verifier, _ = asked(place, Asking(agent))
        append_events(recorder(place), verifier.evidence())
        again, verdict = asked(place, Asking(agent))
    assert [] == again.evidence()
    assert 0.667 == verdict.standing


def test_an_agent_with_another_key_fails_and_it_is_remembered(place):
    place.trust(NAME)
    thief, _ = make_device(NAME)
    with serving(honest(NAME, thief)) as agent:
        verifier, verdict = asked(place, Asking(agent))
    assert "not with the trusted" in wrong(verdict)["proof"]
    append_events(recorder(place), verifier.evidence())
    assert {"failed-verification": 1} == load_ledger(place.paths).tallies[NAME].counts
    with serving(honest(NAME, thief)) as agent:
        _, verdict = asked(place, Asking(agent))
    assert "0.25; this scope needs 0.5" == wrong(verdict)["standing"]


def test_an_agent_that_repeats_an_earlier_answer_fails(place):
    pair = place.trust(NAME)
    kept = []

    def repeat(data):
        kept.append(honest(NAME, pair)(data))
        return kept[0]

    with serving(repeat) as agent:
        _, first = asked(place, Asking(agent))
        verifier, second = asked(place, Asking(agent))
    assert (True, False) == (first.passed, second.passed)
    assert "the answer is to another challenge" == wrong(second)["proof"]
    assert [Kind.FAILED] == [event.kind for event in verifier.evidence()]


def test_a_silent_device_fails_but_is_not_called_a_liar(place):
    place.trust(NAME)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts, and says nothing
        agent = Agent("127.0.0.1", listener.getsockname()[1], simulated=False)
        verifier, verdict = asked(place, Asking(agent, timeout_s=0.2))
    assert "no device's agent answers at" in wrong(verdict)["proof"]
    assert [] == verifier.evidence()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.0 200 OK\r\ncontent-type: text/html\r\n\r\n<html>captive portal</html>",
        b"HTTP/1.0 302 Found\r\nlocation: http://10.0.0.1/\r\n\r\n",
        b"HTTP/1.0 500 oops\r\n\r\n\x1b[2Jerror",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_000,
        b"",
    ],
)
def test_what_is_no_agent_proves_nothing(place, said):
    place.trust(NAME)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.sendall(said)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        agent = Agent("127.0.0.1", listener.getsockname()[1], simulated=False)
        _, verdict = asked(place, Asking(agent, timeout_s=2.0))
        thread.join()
    assert (False, "none") == (verdict.passed, verdict.level)
    assert "\x1b" not in wrong(verdict)["proof"]


def test_readings_alone_prove_nothing_and_the_verdict_says_so(place):
    place.hear(NAME)
    _, verdict = asked(place)
    assert (False, "seen") == (verdict.passed, verdict.level)
    assert "reached seen; this scope needs mesh" == wrong(verdict)["level"]


def test_frames_that_cannot_be_opened_are_told_where_no_reading_is_found(place):
    place.hear(NAME)
    with open_buffer(place.settings, create=False) as buffer, buffer.writing() as connection:
        connection.execute(text("UPDATE frame SET body = zeroblob(length(body))"))
    _, verdict = asked(place)
    telemetry = wrong(verdict)["telemetry"]
    assert telemetry.endswith("of this scope; frames there that cannot be opened here: 1")


def test_a_trusted_key_with_fresh_readings_is_enrolled_and_no_more(place):
    place.trust(NAME)
    place.hear(NAME)
    _, verdict = asked(place)
    assert (False, "enrolled") == (verdict.passed, verdict.level)
    assert {"proof", "level"} == set(wrong(verdict))


def test_a_scope_can_be_content_with_enrolled(place):
    place.trust(NAME)
    easy = Scope("easy", actions=("telemetry.report",), assurance="enrolled", fresh_s=60.0,
                 tables=("lunar_telemetry",))  # fmt: skip
    grant = Grant(f"device:{NAME}", ("easy",))
    save_policies(place.paths, Document(1, (easy,), (grant,)), "test", recorder(place))
    _, without = asked(place, scope="easy")
    assert (False, "none") == (without.passed, without.level)
    place.hear(NAME, age_s=120)
    _, stale = asked(place, scope="easy")
    assert "no reading within 1m 0s in a table of this scope" == wrong(stale)["telemetry"]
    place.hear(NAME, age_s=3)
    _, fresh = asked(place, scope="easy")
    assert (True, "enrolled") == (fresh.passed, fresh.level)


def test_a_revoked_key_is_not_even_asked(place):
    pair = place.trust(NAME)
    place.store.revoke(pair.kid, "lost in the dust")
    with serving(honest(NAME, pair)) as agent:
        _, verdict = asked(place, Asking(agent))
    assert f"key {pair.kid} was revoked here: lost in the dust" == wrong(verdict)["key"]
    assert "none" == verdict.level


def test_a_key_that_is_trusted_as_a_gateways_is_no_devices(place):
    pair = place.trust(NAME, Role.GATEWAY)
    with serving(honest(NAME, pair)) as agent:
        _, verdict = asked(place, Asking(agent))
    assert "no key is trusted as its" == wrong(verdict)["key"]


def test_a_device_in_quarantine_fails_however_well_it_answers(place):
    pair = place.trust(NAME)
    append_events(recorder(place), [Event(NAME, Kind.QUARANTINE, 1, reason="stolen")])
    with serving(honest(NAME, pair)) as agent:
        _, verdict = asked(place, Asking(agent))
    assert {"standing": "it is in quarantine: stolen"} == wrong(verdict)
    assert "challenge" == verdict.level


def test_a_proven_device_without_the_scope_fails(place):
    pair = place.trust(NAME)
    append_events(recorder(place), [Event(NAME, Kind.SET, 1, value=1.0)])
    with serving(honest(NAME, pair)) as agent:
        _, verdict = asked(place, Asking(agent), scope="mesh-control")
        _, other = asked(place, Asking(agent), scope="rover-telemetry")
    assert "neither a grant nor a token gives it mesh-control" == wrong(verdict)["scope"]
    assert "rover-telemetry is not about devices of this name" == wrong(other)["scope"]


def claims(issuer, **changes):
    now_s = SYSTEM_CLOCK.unix_us() // 1_000_000
    found = {
        "iss": issuer.kid, "sub": NAME, "aud": "", "scopes": ("mesh-control",), "iat": now_s,
        "nbf": now_s, "exp": now_s + 900, "jti": "j-1", "cnf": "",
    }  # fmt: skip
    return Claims(**{**found, **changes})


def test_a_token_of_ours_gives_a_device_a_scope(place):
    pair = place.trust(NAME)
    append_events(recorder(place), [Event(NAME, Kind.SET, SYSTEM_CLOCK.unix_us(), value=1.0)])
    ours = place.identity.signing
    with serving(honest(NAME, pair)) as agent:
        good = make_token(claims(ours, cnf=pair.kid), ours)
        _, verdict = asked(place, Asking(agent, tokens={NAME: good}), scope="mesh-control")
        assert (True, {}) == (verdict.passed, wrong(verdict))
        for text, reason in (
            (make_token(claims(ours, sub="rover-001"), ours), "it is for rover-001"),
            (make_token(claims(ours, cnf=ours.kid), ours), f"it is bound to key {ours.kid}"),
            (make_token(claims(pair.signing), pair.signing), "may not give scopes by itself"),
            (good[:-8] + "AAAAAAAA", "not signed by key"),
            ("rubbish", "this is no token"),
        ):
            asking = Asking(agent, tokens={NAME: text})
            _, verdict = asked(place, asking, scope="mesh-control")
            assert reason in wrong(verdict)["token"]
            assert "neither a grant nor a token" in wrong(verdict)["scope"]


class Mesh:
    """A mesh in which one node answers under its device key."""

    def prove(self, device, _timeout_s):
        if device == NAME:
            return Proof(Level.MESH, failed=False, text="node 0x0005 answered")
        return Proof(Level.NONE, failed=False, text="no node of that name")


def test_a_node_that_answers_in_the_mesh_passes_as_that_and_needs_no_other_key(place):
    verifier, verdict = asked(place, mesh=Mesh())
    assert (True, "mesh", "") == (verdict.passed, verdict.level, verdict.kid)
    assert [Kind.VERIFIED] == [event.kind for event in verifier.evidence()]
    _, other = asked(place, mesh=Mesh(), device="hab-sensor-002")
    assert (False, "no node of that name") == (other.passed, wrong(other)["proof"])


def test_a_challenge_that_failed_is_not_mended_by_the_mesh(place):
    place.trust(NAME)
    thief, _ = make_device(NAME)
    with serving(honest(NAME, thief)) as agent:
        _, verdict = asked(place, Asking(agent), mesh=Mesh())
    assert (False, "none") == (verdict.passed, verdict.level)


def test_a_challenge_that_is_carried_by_hand_is_good_once(place):
    pair = place.trust(NAME)
    carried = new_challenge(
        place.paths, NAME, place.identity.kid, SYSTEM_CLOCK, FILE_LIFETIME_S
    ).encode()
    back = honest(NAME, pair)(carried)
    asking = Asking(answers={NAME: (spend_challenge(place.paths, back), back)})
    _, verdict = asked(place, asking)
    assert (True, "challenge") == (verdict.passed, verdict.level)
    with pytest.raises(NotFound, match="it was used before"):
        spend_challenge(place.paths, back)


def test_a_challenge_that_was_made_elsewhere_is_none_here(place):
    pair = place.trust(NAME)
    now_s = SYSTEM_CLOCK.unix_us() // 1_000_000
    foreign = Challenge(NAME, place.identity.kid, b"x" * 32, now_s, now_s + 60)
    with pytest.raises(NotFound):
        spend_challenge(place.paths, honest(NAME, pair)(foreign.encode()))
    with pytest.raises(BadAnswer):
        spend_challenge(place.paths, b"{}")


def test_a_challenge_by_hand_ends_too(place):
    pair = place.trust(NAME)
    early = Clock(unix_us=lambda: SYSTEM_CLOCK.unix_us() - (FILE_LIFETIME_S + 1) * 1_000_000)
    made = new_challenge(place.paths, NAME, place.identity.kid, early, FILE_LIFETIME_S)
    back = answer(made.encode(), NAME, pair.signing, made.issued_s)
    assert "the answer came too late" == judge_answer(made, back, pair.signing.public,
                                                      SYSTEM_CLOCK).text  # fmt: skip


def test_without_a_name_all_devices_of_the_scope_are_verified(place):
    place.trust("rover-001")
    place.trust("hab-sensor-001")
    place.hear("rover-002", "mars_telemetry")
    report = place.verifier("rover-telemetry").run([], Asking())
    assert ["rover-001", "rover-002"] == [verdict.device for verdict in report.devices]
    with pytest.raises(NotFound, match="no device is known"):
        place.verifier("health-data").run([], Asking())


def test_what_a_simulated_site_wrote_is_marked_simulated(place):
    place.hear(NAME, simulated=True)
    _, verdict = asked(place)
    assert verdict.simulated
