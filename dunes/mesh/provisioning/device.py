"""The device's role: answer an invitation, know the provisioner, take keys and address.

    state        may come        answer                              then
    WAITING      Invite          Capabilities                        INVITED
    INVITED      Start           -                                   STARTED
    STARTED      Public Key      Public Key, unless known already    by the method
    TYPING       -               `provide`: Input Complete           AGREEING
    AGREEING     Confirmation    Confirmation                        CONFIRMED
    CONFIRMED    Random          Random, if it fits                  TRUSTING
    TRUSTING     Data            event; `stored`: Complete           DONE
    FAILED       anything        Failed: unexpected PDU              FAILED

Everything else is answered with Failed and its reason (5.4.2, 5.4.4).
"""

import hmac
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random

from dunes.errors import LocalError
from dunes.mesh.provisioning.crypto import Grant, KeyPair, Session, SessionKeys
from dunes.mesh.provisioning.events import (
    Agreed,
    Attention,
    Provisioned,
    ProvisioningEvent,
    ProvisioningFailed,
    Show,
    TypeIn,
)
from dunes.mesh.provisioning.oob import auth_value, draw_value, is_alphanumeric
from dunes.mesh.provisioning.pdus import (
    Algorithm,
    BadProvisioning,
    Capabilities,
    Complete,
    Confirmation,
    Data,
    Failed,
    InputAction,
    InputComplete,
    Invite,
    Method,
    OobType,
    OutputAction,
    Pdu,
    PublicKey,
    Reason,
    Start,
    parse_provisioning,
)
from dunes.mesh.provisioning.pdus import Random as RandomPdu

LINK_TIMEOUT_S = 60.0
UNSENT_MAX = 8
"""Answers that nobody fetched; more are not kept."""


class Stage(Enum):
    """How far it is; see the module."""

    WAITING = auto()
    INVITED = auto()
    STARTED = auto()
    TYPING = auto()
    AGREEING = auto()
    CONFIRMED = auto()
    TRUSTING = auto()
    STORING = auto()
    DONE = auto()
    FAILED = auto()


@dataclass(slots=True)
class Device:
    """A device that one link tries to provision; new for each link.

    Attributes:
        rng: a `SystemRandom` outside of tests.
        capabilities: what it can do.
        static_oob: the value printed on it.
        pair: its key pair, where the public one is known out of band; else a new one.
    """

    rng: Random
    capabilities: Capabilities = field(default_factory=Capabilities)
    static_oob: bytes = field(default=b"", repr=False)
    pair: KeyPair | None = None
    stage: Stage = Stage.WAITING
    _said: list[bytes] = field(default_factory=list)
    _out: list[bytes] = field(default_factory=list)
    _events: deque[ProvisioningEvent] = field(default_factory=deque)
    _due_s: float | None = None
    _start: Start | None = None
    _secret: bytes = field(default=b"", repr=False)
    _session: Session | None = field(default=None, repr=False)
    _shown: str = field(default="", repr=False)
    _peer_confirmation: bytes = b""
    _random: bytes = field(default=b"", repr=False)
    _keys: SessionKeys | None = field(default=None, repr=False)
    _grant: Grant | None = None

    # ---------------------------------------------------------------- five verbs

    def link_opened(self, now_s: float) -> None:
        """Begin to wait for the first PDU."""
        self._due_s = now_s + LINK_TIMEOUT_S

    def receive_pdu(self, data: bytes, now_s: float) -> None:
        """Take a provisioning PDU; the answer is in `pdus_to_send`."""
        if self.stage is Stage.FAILED:
            if len(self._out) < UNSENT_MAX:
                self._answer(Failed(Reason.UNEXPECTED_PDU))
            return
        try:
            self._step(parse_provisioning(data))
        except BadProvisioning as error:
            self._give_up(error.reason, error.message)
        else:
            interactive = self._start is not None and self._start.method in (
                Method.OUTPUT,
                Method.INPUT,
            )
            self._due_s = now_s + LINK_TIMEOUT_S * (2 if interactive else 1)

    def _step(self, pdu: Pdu) -> None:
        step = STEPS.get((self.stage, type(pdu)))
        if step is None:
            raise BadProvisioning(
                Reason.UNEXPECTED_PDU, f"{type(pdu).__name__} in stage {self.stage.name}"
            )
        step(self, pdu)

    def pdus_to_send(self) -> list[bytes]:
        """Give the PDUs to send, once."""
        out, self._out = self._out, []
        return out

    def next_timer_s(self) -> float | None:
        """Say when silence ends it."""
        return self._due_s

    def handle_timer(self, now_s: float) -> None:
        """Give up if the provisioner was silent for too long."""
        if self._due_s is not None and now_s >= self._due_s:
            self._give_up(Reason.UNEXPECTED_ERROR, "the provisioner fell silent")

    def next_event(self) -> ProvisioningEvent | None:
        """Give the next event."""
        return self._events.popleft() if self._events else None

    # ---------------------------------------------------------------- the host's part

    def provide(self, text: str, now_s: float) -> None:
        """Take what somebody typed into the device, after `TypeIn`.

        Raises:
            UsageError: it cannot be such a value.
        """
        if self.stage is not Stage.TYPING or self._start is None:
            raise LocalError(f"nobody waits for a value in stage {self.stage.name}")
        self._agree(auth_value(self._start, typed=text))
        self._answer(InputComplete())
        self._due_s = now_s + 2 * LINK_TIMEOUT_S

    def stored(self) -> None:
        """Go on: device key and keys of `Agreed` are stored."""
        if self.stage is not Stage.STORING or self._keys is None or self._grant is None:
            raise LocalError(f"nothing was to be stored in stage {self.stage.name}")
        self._answer(Complete())
        self.stage, self._due_s = Stage.DONE, None
        self._events.append(Provisioned(self._keys.device_key, self._grant))

    # ---------------------------------------------------------------- the table's steps

    def invited(self, pdu: Invite) -> None:
        """Answer with what we can."""
        self.stage = Stage.INVITED
        self._said += [pdu.encode()[1:], self.capabilities.encode()[1:]]
        self._answer(self.capabilities)
        if pdu.attention_s:
            self._events.append(Attention(pdu.attention_s))

    def started(self, pdu: Start) -> None:
        """Look whether we can do it that way."""
        self._refuse_start(pdu)
        self._start, self.stage = pdu, Stage.STARTED
        self._said.append(pdu.encode()[1:])

    def _refuse_start(self, start: Start) -> None:
        can = self.capabilities
        wrong = not can.offers(start.algorithm)
        if can.offers(Algorithm.HMAC) and start.algorithm is Algorithm.CMAC:
            wrong = True
        if can.oob_type & OobType.OOB_ONLY and start.method is Method.NONE:
            wrong = True
        if start.public_key_oob and not can.public_key_oob:
            wrong = True
        match start.method:
            case Method.STATIC:
                wrong = wrong or not can.oob_type & OobType.STATIC
            case Method.OUTPUT:
                offered = can.output_actions >> start.action & 1
                wrong = wrong or not offered or start.size > can.output_size
            case Method.INPUT:
                offered = can.input_actions >> start.action & 1
                wrong = wrong or not offered or start.size > can.input_size
            case Method.NONE:
                pass
        if wrong:
            raise BadProvisioning(Reason.INVALID_FORMAT, f"cannot start as {start}")

    def key_received(self, pdu: PublicKey) -> None:
        """Answer with ours, then wait for whatever the method needs."""
        if self._start is None:
            raise LocalError("a public key before Start")
        if self.pair is None or not self._start.public_key_oob:
            self.pair = KeyPair.draw(self.rng)
        self._secret = self.pair.shared(pdu.xy)
        self._said += [pdu.xy, self.pair.public]
        if not self._start.public_key_oob:
            self._answer(PublicKey(self.pair.public))
        start = self._start
        if start.method is Method.INPUT:
            self.stage = Stage.TYPING
            action = InputAction(start.action).name.lower()
            self._events.append(TypeIn(action, start.size, is_alphanumeric(start)))
        elif start.method is Method.OUTPUT:
            self._shown = draw_value(start, self.rng)
            self._events.append(Show(OutputAction(start.action).name.lower(), self._shown))
            self._agree(auth_value(start, typed=self._shown))
        else:
            self._agree(auth_value(start, static=self.static_oob))

    def _agree(self, value: bytes) -> None:
        if self._start is None:
            raise LocalError("a session before Start")
        inputs = b"".join(self._said)
        self._session = Session(self._start.algorithm, inputs, self._secret, value)
        self.stage = Stage.AGREEING

    def confirmation_received(self, pdu: Confirmation) -> None:
        """Commit to our random number."""
        session = self._need_session()
        if len(pdu.value) != session.algorithm.size_bytes:
            raise BadProvisioning(Reason.INVALID_FORMAT, "a confirmation of the wrong size")
        self._random = self.rng.randbytes(session.algorithm.size_bytes)
        self._peer_confirmation = pdu.value
        self.stage = Stage.CONFIRMED
        self._answer(Confirmation(session.confirmation(self._random)))

    def random_received(self, pdu: RandomPdu) -> None:
        """Reveal ours, if theirs is what they committed to."""
        session = self._need_session()
        if len(pdu.value) != session.algorithm.size_bytes:
            raise BadProvisioning(Reason.INVALID_FORMAT, "a random of the wrong size")
        fits = hmac.compare_digest(session.confirmation(pdu.value), self._peer_confirmation)
        if not fits or pdu.value == self._random:
            raise BadProvisioning(Reason.CONFIRMATION_FAILED, "another OOB value")
        self._keys = session.keys(pdu.value, self._random)
        self.stage = Stage.TRUSTING
        self._answer(RandomPdu(self._random))

    def data_received(self, pdu: Data) -> None:
        """Take keys and address."""
        if self._keys is None:
            raise LocalError("data before the session keys")
        self._grant = self._keys.open(pdu.sealed, self.capabilities.elements)
        self.stage = Stage.STORING
        self._events.append(Agreed(self._keys.device_key, self._grant, self.capabilities.elements))

    def _need_session(self) -> Session:
        if self._session is None:
            raise LocalError(f"no session in stage {self.stage.name}")
        return self._session

    # ---------------------------------------------------------------- parts

    def _answer(self, pdu: Pdu) -> None:
        self._out.append(pdu.encode())

    def _give_up(self, reason: Reason, message: str) -> None:
        self.stage, self._due_s = Stage.FAILED, None
        self._answer(Failed(reason))
        self._events.append(ProvisioningFailed(reason, message, by_peer=False))


STEPS: dict[tuple[Stage, type], Callable[..., None]] = {
    (Stage.WAITING, Invite): Device.invited,
    (Stage.INVITED, Start): Device.started,
    (Stage.STARTED, PublicKey): Device.key_received,
    (Stage.AGREEING, Confirmation): Device.confirmation_received,
    (Stage.CONFIRMED, RandomPdu): Device.random_received,
    (Stage.TRUSTING, Data): Device.data_received,
}
"""A missing pair is the provisioner's error."""
