"""The provisioner's role: invite a device, know it, give it keys and an address.

    state            PDU that may come     then
    IDLE             -                     `start`: Invite → INVITED
    INVITED          Capabilities          event; `grant`: Start, Public Key → KEYS
    KEYS             Public Key            by the method: CONFIRMING, or one of the next two
    TYPING           -                     `provide`: Confirmation → CONFIRMING
    SHOWING          Input Complete        Confirmation → CONFIRMING
    CONFIRMING       Confirmation          Random → REVEALING
    REVEALING        Random                verified; event; `stored`: Data → GIVING
    GIVING           Complete              DONE
    any              Failed                FAILED
    any              anything else         FAILED: the host ends the link

Source: Mesh Protocol 1.1, 5.4.2.
"""

import hmac
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from typing import ClassVar

from dunes.errors import LocalError
from dunes.mesh.provisioning import pdus
from dunes.mesh.provisioning.crypto import PUBLIC_BYTES, Grant, KeyPair, Session, SessionKeys
from dunes.mesh.provisioning.events import (
    Agreed,
    CapabilitiesReceived,
    Provisioned,
    ProvisioningEvent,
    ProvisioningFailed,
    Show,
    TypeIn,
)
from dunes.mesh.provisioning.oob import Oob, auth_value, draw_value, is_alphanumeric
from dunes.mesh.provisioning.pdus import (
    Algorithm,
    BadProvisioning,
    Capabilities,
    InputAction,
    Method,
    OobType,
    OutputAction,
    Reason,
    Start,
)

TIMEOUT_S = 60.0
OPERATOR_TIMEOUT_S = 120.0
"""Where somebody has to read or type (5.4.4)."""


class State(Enum):
    """How far it is; see the module."""

    IDLE = auto()
    INVITED = auto()
    CHOOSING = auto()
    KEYS = auto()
    TYPING = auto()
    SHOWING = auto()
    CONFIRMING = auto()
    REVEALING = auto()
    STORING = auto()
    GIVING = auto()
    DONE = auto()
    FAILED = auto()


ENDED = frozenset({State.DONE, State.FAILED})


def choose_start(found: Capabilities, oob: Oob, *, public_key_known: bool) -> Start:
    """Choose algorithm and method: the strongest that both can (5.4.1.2, 5.4.1.3).

    HMAC is used where it is offered, as the specification demands; then static OOB before
    output before input before none.

    Raises:
        BadProvisioning: there is nothing that both can.
    """
    if found.offers(Algorithm.HMAC):
        algorithm = Algorithm.HMAC
    elif found.offers(Algorithm.CMAC) and not found.oob_type & OobType.OOB_ONLY:
        algorithm = Algorithm.CMAC
    else:
        raise BadProvisioning(Reason.INVALID_FORMAT, "the device offers no algorithm we know")
    with_key = found.public_key_oob and public_key_known
    if oob.static is not None and found.oob_type & OobType.STATIC:
        return Start(algorithm, with_key, Method.STATIC)
    if oob.output and found.output_size and found.output_actions:
        action = _highest(found.output_actions, len(OutputAction))
        return Start(algorithm, with_key, Method.OUTPUT, action, found.output_size)
    if oob.input and found.input_size and found.input_actions:
        action = _highest(found.input_actions, len(InputAction))
        return Start(algorithm, with_key, Method.INPUT, action, found.input_size)
    if found.oob_type & OobType.OOB_ONLY or not oob.none:
        raise BadProvisioning(
            Reason.INVALID_FORMAT, "the device and we have no way to know each other"
        )
    return Start(algorithm, with_key)


def _highest(actions: int, known: int) -> int:
    """Take the last action offered: numbers and letters before blinking and pushing."""
    offered = [bit for bit in range(known) if actions >> bit & 1]
    if not offered:
        raise BadProvisioning(Reason.INVALID_FORMAT, f"OOB actions {actions:#x}")
    numeric = known - 2
    return numeric if numeric in offered else offered[-1]


@dataclass(slots=True)
class Provisioner:
    """One provisioning of one device, over one link.

    Attributes:
        rng: a `SystemRandom` outside of tests.
        oob: how operator and device can meet.
        attention_s: how long the device shall show itself.
        device_public_key: X and Y, if had out of band.
    """

    rng: Random
    oob: Oob = field(default_factory=Oob)
    attention_s: int = 0
    device_public_key: bytes | None = field(default=None, repr=False)
    state: State = State.IDLE
    capabilities: Capabilities | None = None
    _out: list[bytes] = field(default_factory=list)
    _events: deque[ProvisioningEvent] = field(default_factory=deque)
    _due_s: float | None = None
    _pair: KeyPair | None = field(default=None, repr=False)
    _grant: Grant | None = None
    _start: Start | None = None
    _session: Session | None = field(default=None, repr=False)
    _keys: SessionKeys | None = field(default=None, repr=False)
    _random: bytes = field(default=b"", repr=False)
    _confirmed: bytes = b""
    _secret: bytes = field(default=b"", repr=False)
    _inputs: bytes = b""

    TABLE: ClassVar[dict[tuple[State, type], str]] = {
        (State.INVITED, Capabilities): "_on_capabilities",
        (State.KEYS, pdus.PublicKey): "_on_public_key",
        (State.SHOWING, pdus.InputComplete): "_on_input_complete",
        (State.CONFIRMING, pdus.Confirmation): "_on_confirmation",
        (State.REVEALING, pdus.Random): "_on_random",
        (State.GIVING, pdus.Complete): "_on_complete",
    }

    # ---------------------------------------------------------------- five verbs

    def start(self, now_s: float) -> None:
        """Invite the device; the link is open."""
        invite = pdus.Invite(self.attention_s)
        self._inputs = invite.encode()[1:]
        self._send(invite, State.INVITED, now_s)

    def receive_pdu(self, data: bytes, now_s: float) -> None:
        """Take a provisioning PDU of the device."""
        if self.state in ENDED:
            return
        try:
            self._step(pdus.parse_provisioning(data), now_s)
        except BadProvisioning as error:
            self._fail(error.reason, error.message)

    def _step(self, pdu: pdus.Pdu, now_s: float) -> None:
        if isinstance(pdu, pdus.Failed):
            words = pdu.reason.name.lower().replace("_", " ")
            self._fail(pdu.reason, f"the device says: {words}", by_peer=True)
            return
        name = self.TABLE.get((self.state, type(pdu)))
        if name is None:
            raise BadProvisioning(
                Reason.UNEXPECTED_PDU,
                f"{type(pdu).__name__} is not due in state {self.state.name}",
            )
        handler: Callable[[pdus.Pdu, float], None] = getattr(self, name)
        self._restart_timer(now_s)
        handler(pdu, now_s)

    def pdus_to_send(self) -> list[bytes]:
        """Give the PDUs to send, once."""
        out, self._out = self._out, []
        return out

    def next_timer_s(self) -> float | None:
        """Say when silence ends it."""
        return self._due_s

    def handle_timer(self, now_s: float) -> None:
        """Give up if the device was silent for too long."""
        if self._due_s is not None and now_s >= self._due_s:
            self._fail(Reason.UNEXPECTED_ERROR, f"silence in state {self.state.name}")

    def next_event(self) -> ProvisioningEvent | None:
        """Give the next event."""
        return self._events.popleft() if self._events else None

    # ---------------------------------------------------------------- the host's part

    def grant(self, grant: Grant, now_s: float) -> None:
        """Say what the device shall get, after `CapabilitiesReceived`."""
        if self.state is not State.CHOOSING or self.capabilities is None:
            raise LocalError(f"nothing can be granted in state {self.state.name}")
        self._grant = grant
        try:
            start = choose_start(
                self.capabilities, self.oob, public_key_known=self.device_public_key is not None
            )
        except BadProvisioning as error:
            self._fail(error.reason, error.message)
            return
        self._start, self._pair = start, KeyPair.draw(self.rng)
        self._inputs += start.encode()[1:] + self._pair.public
        self._send(start, State.KEYS, now_s)
        self._send(pdus.PublicKey(self._pair.public), State.KEYS, now_s)
        if start.public_key_oob and self.device_public_key is not None:
            self._guarded(self._have_key, self.device_public_key, now_s)

    def provide(self, text: str, now_s: float) -> None:
        """Type in what the device shows, after `TypeIn`.

        Raises:
            UsageError: it cannot be such a value; ask again.
        """
        if self.state is not State.TYPING or self._start is None:
            raise LocalError(f"nobody waits for a value in state {self.state.name}")
        self._commit(auth_value(self._start, typed=text), now_s)

    def stored(self, now_s: float) -> None:
        """Go on: device key and addresses of `Agreed` are stored."""
        if self.state is not State.STORING or self._keys is None or self._grant is None:
            raise LocalError(f"nothing was to be stored in state {self.state.name}")
        self._send(pdus.Data(self._keys.seal(self._grant)), State.GIVING, now_s)

    def link_lost(self) -> None:
        """Take that the link is gone."""
        if self.state not in ENDED:
            self._fail(Reason.UNEXPECTED_ERROR, f"the link was lost in state {self.state.name}")

    # ---------------------------------------------------------------- the table's handlers

    def _on_capabilities(self, pdu: Capabilities, _: float) -> None:
        self.capabilities, self.state = pdu, State.CHOOSING
        self._inputs += pdu.encode()[1:]
        self._events.append(CapabilitiesReceived(pdu))

    def _on_public_key(self, pdu: pdus.PublicKey, now_s: float) -> None:
        self._have_key(pdu.xy, now_s)

    def _have_key(self, xy: bytes, now_s: float) -> None:
        """Agree on the secret, then authenticate as the method says."""
        if self._pair is None or self._start is None or len(xy) != PUBLIC_BYTES:
            raise BadProvisioning(Reason.INVALID_FORMAT, "no usable public key")
        self._secret = self._pair.shared(xy)
        self._inputs += xy
        start = self._start
        match start.method:
            case Method.NONE:
                self._commit(auth_value(start), now_s)
            case Method.STATIC:
                self._commit(auth_value(start, static=self.oob.static or b""), now_s)
            case Method.OUTPUT:
                self.state = State.TYPING
                action = OutputAction(start.action).name.lower()
                self._events.append(TypeIn(action, start.size, is_alphanumeric(start)))
            case Method.INPUT:
                self.state = State.SHOWING
                value = draw_value(start, self.rng)
                self._session = self._new_session(auth_value(start, typed=value))
                self._events.append(Show(InputAction(start.action).name.lower(), value))

    def _on_input_complete(self, _: pdus.InputComplete, now_s: float) -> None:
        if self._session is not None:
            self._commit(self._session.auth_value, now_s)

    def _commit(self, value: bytes, now_s: float) -> None:
        """Send our confirmation."""
        self._session = self._new_session(value)
        self._random = self.rng.randbytes(self._session.algorithm.size_bytes)
        self._confirmed = self._session.confirmation(self._random)
        self._send(pdus.Confirmation(self._confirmed), State.CONFIRMING, now_s)

    def _new_session(self, value: bytes) -> Session:
        if self._start is None:
            raise LocalError("a session before Start")
        return Session(self._start.algorithm, self._inputs, self._secret, value)

    def _on_confirmation(self, pdu: pdus.Confirmation, now_s: float) -> None:
        if len(pdu.value) != len(self._confirmed):
            raise BadProvisioning(Reason.INVALID_FORMAT, "a confirmation of the wrong size")
        if hmac.compare_digest(pdu.value, self._confirmed):
            raise BadProvisioning(Reason.INVALID_FORMAT, "our own confirmation came back")
        self._confirmed = pdu.value
        self._send(pdus.Random(self._random), State.REVEALING, now_s)

    def _on_random(self, pdu: pdus.Random, _: float) -> None:
        if self._session is None or self._grant is None or self.capabilities is None:
            raise LocalError("a random before the session")
        if len(pdu.value) != len(self._random):
            raise BadProvisioning(Reason.INVALID_FORMAT, "a random of the wrong size")
        if not hmac.compare_digest(self._session.confirmation(pdu.value), self._confirmed):
            raise BadProvisioning(
                Reason.CONFIRMATION_FAILED,
                "its confirmation is wrong: it does not know the OOB value, or it lies",
            )
        self._keys = self._session.keys(self._random, pdu.value)
        self.state = State.STORING
        self._events.append(Agreed(self._keys.device_key, self._grant, self.capabilities.elements))

    def _on_complete(self, _: pdus.Complete, _now_s: float) -> None:
        if self._keys is None or self._grant is None:
            raise LocalError("complete before the data")
        self.state, self._due_s = State.DONE, None
        self._events.append(Provisioned(self._keys.device_key, self._grant))

    # ---------------------------------------------------------------- parts

    def _guarded(self, step: Callable[[bytes, float], None], data: bytes, now_s: float) -> None:
        try:
            step(data, now_s)
        except BadProvisioning as error:
            self._fail(error.reason, error.message)

    def _send(self, pdu: pdus.Pdu, state: State, now_s: float) -> None:
        self._out.append(pdu.encode())
        self.state = state
        self._restart_timer(now_s)

    def _restart_timer(self, now_s: float) -> None:
        slow = self._start is not None and self._start.method in (Method.OUTPUT, Method.INPUT)
        self._due_s = now_s + (OPERATOR_TIMEOUT_S if slow else TIMEOUT_S)

    def _fail(self, reason: Reason, message: str, *, by_peer: bool = False) -> None:
        self.state, self._due_s = State.FAILED, None
        self._out.clear()
        self._events.append(ProvisioningFailed(reason, message, by_peer))
