import json
from pathlib import Path
from random import Random

import pytest

from dunes.errors import UsageError
from dunes.mesh.provisioning import pdus
from dunes.mesh.provisioning.crypto import Grant, KeyPair, Session
from dunes.mesh.provisioning.device import Device, Stage
from dunes.mesh.provisioning.events import (
    Agreed,
    CapabilitiesReceived,
    Provisioned,
    ProvisioningFailed,
    Show,
    TypeIn,
)
from dunes.mesh.provisioning.oob import Oob, auth_value
from dunes.mesh.provisioning.pdus import (
    Algorithm,
    BadProvisioning,
    Capabilities,
    Method,
    Reason,
    Start,
    parse_provisioning,
)
from dunes.mesh.provisioning.provisioner import Provisioner, State, choose_start
from dunes.mesh.sar import MessageType, ProxyReassembler, split_proxy

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "mesh"
CMAC, HMAC = 1 << Algorithm.CMAC, 1 << Algorithm.HMAC
GRANT = Grant(bytes(range(16)), 0, False, False, 5, 0x0B00)
STATIC = b"written on the box"


def vectors(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["vectors"]


def unhex(text):
    return bytes.fromhex(text)


class Pair:
    """A provisioner and a device joined in memory; the operator copies what is shown."""

    def __init__(self, capabilities, oob, static=b"", typed=None, **more):
        self.one = Provisioner(Random(1), oob, **more)
        self.other = Device(Random(2), capabilities, static)
        self.typed = typed
        self.events = []
        self.shown = ""
        self.waiting = None
        self.tamper = lambda data, _: data

    def run(self):
        self.other.link_opened(0.0)
        self.one.start(0.0)
        for _ in range(60):
            moved = self.carry() | self.serve(self.one) | self.serve(self.other) | self.operator()
            if not moved:
                return self
        raise AssertionError("it does not end")

    def carry(self):
        moved = False
        for data in self.one.pdus_to_send():
            self.other.receive_pdu(self.tamper(data, True), 0.0)
            moved = True
        for data in self.other.pdus_to_send():
            self.one.receive_pdu(self.tamper(data, False), 0.0)
            moved = True
        return moved

    def serve(self, side):
        moved = False
        while (event := side.next_event()) is not None:
            moved = True
            self.events.append((side is self.one, event))
            if isinstance(event, CapabilitiesReceived):
                side.grant(GRANT, 0.0)
            elif isinstance(event, Agreed):
                assert not any(data[0] in (7, 8) for data in side._out)
                side.stored(*([0.0] if side is self.one else []))
            elif isinstance(event, Show):
                self.shown = event.value
            elif isinstance(event, TypeIn):
                self.waiting = side
        return moved

    def operator(self):
        if self.waiting is None or not self.shown:
            return False
        side, self.waiting = self.waiting, None
        side.provide(self.typed or self.shown, 0.0)
        return True

    def of(self, kind):
        return [event for _, event in self.events if isinstance(event, kind)]


@pytest.mark.parametrize("case", vectors("provisioning"), ids=lambda case: case["id"])
def test_confirmations_are_the_published_ones(case):
    given, out = case["in"], case["out"]
    algorithm = Algorithm.HMAC if "HMAC" in given["algorithm"] else Algorithm.CMAC
    ours = KeyPair(int(given["provisioner_private_key"], 16))
    theirs = KeyPair(int(given["device_private_key"], 16))
    assert given["provisioner_public_key"] == ours.public.hex()
    assert given["device_public_key"] == theirs.public.hex()
    secret = ours.shared(theirs.public)
    assert given["ecdh_secret"] == secret.hex() == theirs.shared(ours.public).hex()
    names = ("invite", "capabilities", "start", "provisioner_public_key", "device_public_key")
    inputs = b"".join(unhex(given[name]) for name in names)
    assert given["confirmation_inputs"] == inputs.hex()
    session = Session(algorithm, inputs, secret, unhex(given["auth_value"]))
    assert out["confirmation_salt"] == session.confirmation_salt.hex()
    assert out["confirmation_key"] == session.confirmation_key.hex()
    for side in ("provisioner", "device"):
        made = session.confirmation(unhex(given[f"random_{side}"]))
        assert out[f"confirmation_{side}"] == made.hex()
    for name, text in out.get("pdus", {}).items():
        assert text == parse_provisioning(unhex(text)).encode().hex(), name


def test_keys_and_data_are_the_published_ones():
    (case,) = vectors("provisioning_data")
    given, out = case["in"], case["out"]
    (before,) = [
        each["in"]
        for each in vectors("provisioning")
        if each["id"] == given["confirmation_vector"]
    ]
    session = Session(
        Algorithm.CMAC,
        unhex(before["confirmation_inputs"]),
        unhex(before["ecdh_secret"]),
        unhex(before["auth_value"]),
    )
    keys = session.keys(unhex(before["random_provisioner"]), unhex(before["random_device"]))
    assert [out["session_key"], out["session_nonce"], out["device_key"]] == [
        keys.session_key.hex(),
        keys.nonce.hex(),
        keys.device_key.hex(),
    ]
    numbers = (int(given[name], 16) for name in ("net_key_index", "iv_index", "unicast"))
    index, iv_index, unicast = numbers
    grant = Grant(unhex(given["net_key"]), index, False, False, iv_index, unicast)
    assert out["data"] == grant.encode().hex()
    assert out["sealed"] == keys.seal(grant).hex()
    assert grant == keys.open(unhex(out["sealed"]), 1)


def test_the_published_public_key_pdu_is_cut_as_published():
    (case,) = vectors("pb_gatt_sar")
    given, out = case["in"], case["out"]
    kind, room = MessageType(given["message_type"]), given["att_mtu"] - 3
    values = split_proxy(kind, unhex(given["pdu"]), room)
    assert out["att_values"] == [value.hex() for value in values]
    reassembler = ProxyReassembler()
    results = [reassembler.receive(value, 0.0) for value in values]
    assert [None, None, None, (kind, unhex(given["pdu"]))] == results


@pytest.mark.parametrize("algorithms", [CMAC, HMAC, CMAC | HMAC])
@pytest.mark.parametrize(
    ("capabilities", "oob", "method"),
    [
        ({}, Oob(), Method.NONE),
        ({"oob_type": 1}, Oob(static=STATIC), Method.STATIC),
        ({"output_size": 4, "output_actions": 0b01000}, Oob(output=True), Method.OUTPUT),
        ({"output_size": 3, "output_actions": 0b00011}, Oob(output=True), Method.OUTPUT),
        ({"output_size": 8, "output_actions": 0b10000}, Oob(output=True), Method.OUTPUT),
        ({"input_size": 6, "input_actions": 0b0100}, Oob(input=True), Method.INPUT),
        ({"input_size": 2, "input_actions": 0b0001}, Oob(input=True), Method.INPUT),
        ({"input_size": 5, "input_actions": 0b1000}, Oob(input=True), Method.INPUT),
    ],
)
def test_both_roles_agree_with_every_method(algorithms, capabilities, oob, method):
    pair = Pair(Capabilities(2, algorithms, **capabilities), oob, STATIC).run()
    assert pair.one._start.method is method
    used = Algorithm.HMAC if algorithms & HMAC else Algorithm.CMAC
    assert pair.one._start.algorithm is used
    ours, theirs = pair.of(Provisioned)
    assert ours == theirs
    assert ours.grant == GRANT
    assert (pair.one.state, pair.other.stage) == (State.DONE, Stage.DONE)


def test_a_public_key_from_outside_is_not_sent():
    pair = KeyPair(77)
    joined = Pair(Capabilities(public_key_oob=True), Oob(), device_public_key=pair.public)
    joined.other.pair = pair
    sent = []
    joined.tamper = lambda data, to_device: sent.append((to_device, data[0])) or data
    joined.run()
    assert len(joined.of(Provisioned)) == 2
    assert (False, pdus.PduType.PUBLIC_KEY) not in sent


@pytest.mark.parametrize(
    ("capabilities", "oob", "more"),
    [
        ({"oob_type": 1}, Oob(static=b"another"), {}),
        ({"output_size": 4, "output_actions": 8}, Oob(output=True), {"typed": "1"}),
        ({"input_size": 4, "input_actions": 4}, Oob(input=True), {"typed": "1"}),
    ],
)
def test_a_wrong_value_fails_the_confirmation(capabilities, oob, more):
    pair = Pair(Capabilities(1, **capabilities), oob, STATIC, **more).run()
    ours, theirs = sorted(pair.of(ProvisioningFailed), key=lambda event: not event.by_peer)
    assert (Reason.CONFIRMATION_FAILED, True) == (ours.reason, ours.by_peer)
    assert Reason.CONFIRMATION_FAILED == theirs.reason
    assert not pair.of(Agreed)


def lie(kind, change, to_device=False):
    def tamper(data, towards):
        return change(data) if (data[0], towards) == (kind, to_device) else data

    return tamper


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lie(3, lambda data: data[:1] + bytes(64)), id="key-off-the-curve"),
        pytest.param(lie(3, lambda data: data[:-1]), id="key-cut"),
        pytest.param(lie(5, lambda data: data[:1] + bytes(32)), id="wrong-confirmation"),
        pytest.param(lie(6, lambda data: data[:1] + bytes(32)), id="wrong-random"),
        pytest.param(lie(1, lambda data: data + b"x"), id="long-capabilities"),
        pytest.param(lie(1, lambda _: b"\x08"), id="complete-first"),
        pytest.param(lie(7, lambda data: data[:-1] + b"x", True), id="data-changed"),
        pytest.param(lie(2, lambda _: b"\x02\x07\0\0\0\0", True), id="unknown-algorithm"),
        pytest.param(lie(3, lambda data: data[:1] + bytes(64), True), id="our-key-changed"),
    ],
)
def test_whoever_lies_is_refused(tamper):
    pair = Pair(Capabilities(), Oob())
    pair.tamper = tamper
    pair.run()
    assert pair.of(ProvisioningFailed)
    assert len(pair.of(Provisioned)) == 0


def test_our_own_key_and_confirmation_are_not_accepted_back():
    for kind in (3, 5):
        pair = Pair(Capabilities(), Oob())
        seen = {}

        def tamper(data, to_device, kind=kind, seen=seen):
            if data[0] == kind and to_device:
                seen["ours"] = data
            return seen["ours"] if data[0] == kind and not to_device else data

        pair.tamper = tamper
        pair.run()
        assert pair.one.state is State.FAILED
        assert "our own" in pair.of(ProvisioningFailed)[0].message


def test_a_device_that_gave_up_answers_unexpected_pdu():
    device = Device(Random(1))
    device.receive_pdu(b"\x63", 0.0)
    assert [pdus.Failed(Reason.INVALID_PDU).encode()] == device.pdus_to_send()
    device.receive_pdu(pdus.Invite().encode(), 0.0)
    assert [pdus.Failed(Reason.UNEXPECTED_PDU).encode()] == device.pdus_to_send()


def test_hmac_must_be_used_where_it_is_offered():
    device = Device(Random(1), Capabilities())
    device.receive_pdu(pdus.Invite().encode(), 0.0)
    device.receive_pdu(Start(Algorithm.CMAC).encode(), 0.0)
    assert pdus.Failed(Reason.INVALID_FORMAT).encode() == device.pdus_to_send()[-1]
    assert choose_start(Capabilities(), Oob(), public_key_known=False) == Start(Algorithm.HMAC)


def test_a_device_that_wants_oob_is_not_provisioned_without():
    found = Capabilities(oob_type=2 | 1)
    with pytest.raises(BadProvisioning, match="no way to know"):
        choose_start(found, Oob(), public_key_known=False)
    only_cmac = Capabilities(algorithms=CMAC, oob_type=2)
    with pytest.raises(BadProvisioning, match="no algorithm"):
        choose_start(only_cmac, Oob(), public_key_known=False)


def test_silence_ends_it_on_both_sides():
    one, other = Provisioner(Random(1)), Device(Random(2))
    other.link_opened(0.0)
    one.start(0.0)
    for side, timeout_s in ((one, 60.0), (other, 60.0)):
        assert timeout_s == side.next_timer_s()
        side.handle_timer(timeout_s)
        assert isinstance(side.next_event(), ProvisioningFailed)
        assert side.next_timer_s() is None


def test_nothing_is_sent_before_the_device_key_is_stored():
    pair = Pair(Capabilities(), Oob())
    pair.serve = lambda _: False
    pair.run()
    assert pair.one.state is State.CHOOSING
    pair.one.grant(GRANT, 0.0)
    while pair.carry():
        pass
    assert State.STORING is pair.one.state
    assert pair.one.pdus_to_send() == []
    pair.one.stored(0.0)
    assert pdus.PduType.DATA == pair.one.pdus_to_send()[0][0]


@pytest.mark.parametrize(
    ("start", "typed", "expected"),
    [
        (Start(Algorithm.CMAC, False, Method.OUTPUT, 3, 6), "019655", bytes(14) + b"\x4c\xc7"),
        (Start(Algorithm.HMAC, False, Method.INPUT, 2, 6), "019655", bytes(30) + b"\x4c\xc7"),
        (Start(Algorithm.CMAC, False, Method.OUTPUT, 4, 4), "ab1", b"AB1" + bytes(13)),
    ],
)
def test_authentication_values_are_aligned_as_specified(start, typed, expected):
    assert expected == auth_value(start, typed=typed)


@pytest.mark.parametrize("typed", ["", "12345", "-1", "four", "\uff11\uff12"])
def test_a_value_that_cannot_be_is_asked_again(typed):
    with pytest.raises(UsageError):
        auth_value(Start(Algorithm.CMAC, False, Method.OUTPUT, 3, 4), typed=typed)


def test_static_values_are_cut_and_padded():
    static = Start(Algorithm.CMAC, False, Method.STATIC)
    assert STATIC[:16] == auth_value(static, static=STATIC)
    assert b"a" + bytes(15) == auth_value(static, static=b"a")


def test_secrets_are_not_in_any_repr():
    pair = Pair(Capabilities(oob_type=1), Oob(static=STATIC), STATIC).run()
    shown = repr(pair.one) + repr(pair.other) + repr(pair.events)
    device_key = pair.of(Provisioned)[0].device_key
    for secret in (STATIC, GRANT.net_key, device_key, pair.one._secret):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
