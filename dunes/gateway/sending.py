"""Command an actuator and read its state back."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from dunes.authority.model import Action
from dunes.clock import SYSTEM_CLOCK
from dunes.errors import DataError, NotFound, UsageError
from dunes.gateway.owner import Gateway
from dunes.gateway.permission import permit
from dunes.gateway.waiting import NoAnswer
from dunes.mesh.access import split_opcode
from dunes.mesh.errors import BadPdu
from dunes.mesh.manager import ManagerEvent, Received
from dunes.mesh.models.composition import Composition
from dunes.mesh.models.generic import (
    LEVEL_MAX,
    LEVEL_MIN,
    LEVEL_SERVER,
    ONOFF_SERVER,
    LevelGet,
    LevelSet,
    LevelStatus,
    OnOffGet,
    OnOffSet,
    OnOffStatus,
)
from dunes.mesh.models.server import Raw
from dunes.mesh.outbox import Sent
from dunes.mesh.wire import Message, ModelId

APP_INDEX = 0
MS_PER_S = 1000
VENDOR_OPCODE = 0xC0
VENDOR_ANSWER_S = 4.0
PAYLOAD_MAX = 380
TIDS, TID_STEP_US = 256, 25_000
SENT_S = 5.0
SWITCH = {"on": 1, "off": 0}


@dataclass(frozen=True, slots=True)
class MeshSendReport:
    """What became of a command.

    Attributes:
        mesh_id: the mesh.
        device: the node or element, by name.
        address: of the element.
        command: `onoff`, `level`, `vendor`, or `get`.
        asked: the value that was sent; null with `get`.
        acknowledged: the node said that it took it.
        state: what it says of itself afterwards: `onoff`, `level`, or `vendor` in hexadecimal.
        round_trip_ms: from the command to its acknowledgement.
        simulated: the node is one of the simulated site.
    """

    mesh_id: str
    device: str
    address: int
    command: str
    asked: str | None
    acknowledged: bool
    state: dict[str, str | int] = field(default_factory=dict)
    round_trip_ms: float | None = None
    simulated: bool = False


async def send(gateway: Gateway, args: dict[str, Any]) -> MeshSendReport:
    """Do one command.

    Args:
        gateway: the mesh, with a proxy kept.
        args: `device`; one of `onoff` (`on`, `off`), `level`, `vendor` (hexadecimal access
            payload), or none of them with `get`; `get`; `timeout_s` for the proxy.

    Raises:
        NotFound: no such node, or it has no such actuator.
        NoAnswer: it stayed silent.
        UsageError: the value cannot be sent.
        NotAuthorised: the policies forbid the command.
    """
    name, address = gateway.store.find(str(args["device"]))
    composition = gateway.manager.node_of(address).composition
    told = next((f"{key} {args[key]}" for key in ("onoff", "level", "vendor") if key in args), "")
    if told:
        await permit(gateway.settings, Action.ACTUATOR_COMMAND, name.shown, told)
    await gateway.reach(timeout_s=float(args.get("timeout_s", 20.0)))
    began_s = SYSTEM_CLOCK.monotonic_s()
    asked: str | None
    if (vendor := args.get("vendor")) is not None:
        command, asked, element = "vendor", str(vendor), address
        state, acknowledged = await _vendor(gateway, address, asked, want=bool(args.get("get")))
    elif (onoff := args.get("onoff")) is not None:
        command, asked = "onoff", str(onoff)
        element = _element(name.unicast, address, composition, ONOFF_SERVER, name.shown)
        if asked not in SWITCH:
            raise UsageError(f"--onoff {asked[:20]!r}", hint="--onoff on, or --onoff off")
        status = await _ask(gateway, element, OnOffSet(SWITCH[asked], _tid()))
        acknowledged, state = isinstance(status, OnOffStatus), {}
    elif (level := args.get("level")) is not None:
        command, asked = "level", str(level)
        element = _element(name.unicast, address, composition, LEVEL_SERVER, name.shown)
        if not LEVEL_MIN <= int(level) <= LEVEL_MAX:
            raise UsageError(f"--level {level}", hint=f"{LEVEL_MIN} to {LEVEL_MAX}")
        status = await _ask(gateway, element, LevelSet(int(level), _tid()))
        acknowledged, state = isinstance(status, LevelStatus), {}
    else:
        command, asked, acknowledged, element, state = "get", None, False, address, {}
    round_trip_ms = (SYSTEM_CLOCK.monotonic_s() - began_s) * MS_PER_S if asked else None
    if command != "vendor":
        state = await _states(gateway, element, composition, name.unicast, command)
    return MeshSendReport(
        gateway.store.mesh_id,
        gateway.store.name_of(element),
        element,
        command,
        asked,
        acknowledged,
        state,
        None if round_trip_ms is None else round(round_trip_ms, 1),
        gateway.radio.simulated,
    )


def _tid() -> int:
    """Give a transaction number: none comes again within the 6 s in which it would be a repeat."""
    return SYSTEM_CLOCK.unix_us() // TID_STEP_US % TIDS


async def _ask(gateway: Gateway, element: int, message: Message) -> Message:
    return await gateway.runner.request(element, message, app_index=APP_INDEX)


async def _states(
    gateway: Gateway, element: int, composition: bytes, unicast: int, command: str
) -> dict[str, str | int]:
    """Read back what was set; with `get` all that the element has."""
    state: dict[str, str | int] = {}
    asks = {"onoff": (ONOFF_SERVER, OnOffGet()), "level": (LEVEL_SERVER, LevelGet())}
    for what, (model, message) in asks.items():
        if command not in {what, "get"}:
            continue
        has = Composition.decode(composition).has(model) if composition else [element - unicast]
        if element - unicast not in has:
            continue
        answer = await _ask(gateway, element, message)
        if isinstance(answer, OnOffStatus):
            state["onoff"] = "on" if answer.present else "off"
        elif isinstance(answer, LevelStatus):
            state["level"] = answer.present
    if not state:
        raise NotFound(
            f"{gateway.store.name_of(element)} has no actuator there", hint="dunes mesh-status"
        )
    return state


def _element(unicast: int, address: int, composition: bytes, model: ModelId, name: str) -> int:
    """Choose the element: the one that was named, or of a node the first that has the model."""
    if not composition:
        return address
    has = Composition.decode(composition).has(model)
    if address - unicast in has:
        return address
    if address != unicast or not has:
        raise NotFound(f"{name} has no actuator of model {model} there", hint="dunes mesh-status")
    return unicast + has[0]


async def _vendor(
    gateway: Gateway, address: int, text: str, *, want: bool
) -> tuple[dict[str, str | int], bool]:
    """Send a vendor's message; with `want` wait for what the element says to it."""
    try:
        payload = bytes.fromhex(text)
        opcode, _ = split_opcode(payload)
    except (ValueError, BadPdu) as error:
        raise UsageError(f"--vendor {text[:40]!r} is no message", hint="--vendor C2FFFF00") from (
            error
        )
    if payload[0] < VENDOR_OPCODE or len(payload) > PAYLOAD_MAX:
        raise DataError(f"opcode {opcode:#x} is not a vendor's", hint="it begins with C0 to FF")
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    sent: set[int] = set()
    on_air = asyncio.Event()

    def hear(event: ManagerEvent) -> None:
        if isinstance(event, Sent):
            sent.add(event.handle)
            on_air.set()
        if isinstance(event, Received) and event.access.src == address and not answer.done():
            heard = event.access
            if heard.opcode.bit_length() > 16:  # noqa: PLR2004 - three octets: a vendor's
                octets = heard.opcode.to_bytes(3, "big") + heard.parameters
                answer.set_result(octets.hex())

    gateway.runner.on_event.append(hear)
    try:
        handle = gateway.runner.send(address, Raw(payload), app_index=APP_INDEX)
        if not want:
            async with asyncio.timeout(SENT_S):
                while handle not in sent:
                    await on_air.wait()
                    on_air.clear()
            return {}, False
        async with asyncio.timeout(VENDOR_ANSWER_S):
            return {"vendor": await answer}, True
    except TimeoutError as error:
        what = "said nothing to it" if want else "could not be sent it"
        raise NoAnswer(f"{address:#06x} {what} in {VENDOR_ANSWER_S:g} s") from error
    finally:
        gateway.runner.on_event.remove(hear)
