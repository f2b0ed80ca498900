"""Find the dish and the router: ask every endpoint at once, and judge each answer.

The answer tells which device spoke, not the address; so a router moved to another
address, a dish behind a foreign router and a stranger at the usual address are all
told apart.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from dunes.starlink.client import DeviceClient, Target, join_address
from dunes.starlink.errors import Reason, StarlinkError, failure
from dunes.starlink.status import DISH, ROUTER, Look, Snapshot, look_at

OK = "ok"
BYPASSED = "BYPASSED"

SIMULATED_SITE = "no hardware at hand? dunes sim up starts a simulated dish and router"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one endpoint answered.

    Attributes:
        expected: the device that usually lives there, `dish` or `router`.
        transport: `grpc` or `grpc-web`.
        address: `host:port`.
        verdict: `ok`, or the word of a `Reason`, e.g. `refused`.
        device: the device that answered; empty if none did.
        detail: what happened, for people.
        elapsed_ms: until the answer or the failure.
    """

    expected: str
    transport: str
    address: str
    verdict: str
    device: str
    detail: str
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class Device:
    """A device that was found.

    Attributes:
        id: its own name.
        address: where, without port.
        transport: what it answered by.
        hardware: model.
        software: firmware version.
        api_version: number of the device API; 0 where not told.
    """

    id: str
    address: str
    transport: str
    hardware: str
    software: str
    api_version: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What a probe found.

    Attributes:
        verdicts: one for each endpoint, in the order asked.
        devices: by role.
        bypassed: the router is in bypass mode, so its silence is as it should be.
        notes: what a person should know.
        hints: what to type next, where something is missing.
        simulated: the answers come from the simulated site.
    """

    verdicts: tuple[Verdict, ...]
    devices: Mapping[str, Device]
    bypassed: bool = False
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    target: Target
    verdict: Verdict
    snapshot: Snapshot | None = field(default=None)


def probe(endpoints: Sequence[Target], *, timeout_s: float, unix_s: float) -> Findings:
    """Ask all endpoints at once, each within `timeout_s`, and put the answers together."""
    with ThreadPoolExecutor(max_workers=max(len(endpoints), 1)) as pool:
        answers = list(pool.map(lambda e: _ask(e, timeout_s, unix_s), endpoints))
    devices: dict[str, Device] = {}
    snapshots: dict[str, Snapshot] = {}
    for answer in answers:
        seen = answer.snapshot
        if seen is not None and seen.role not in devices:
            snapshots[seen.role] = seen
            devices[seen.role] = Device(
                seen.device_id,
                answer.target.host,
                answer.target.transport,
                seen.hardware,
                seen.software,
                seen.api_version,
            )
    dish = snapshots.get(DISH)
    bypassed = ROUTER not in devices and dish is not None and BYPASSED in dish.routers.values()
    notes = [*_strangers(answers), *_missing_router(devices, dish, bypassed=bypassed)]
    return Findings(
        tuple(a.verdict for a in answers),
        devices,
        bypassed,
        tuple(notes),
        tuple(_hints(answers, devices, bypassed=bypassed)),
        any(e.simulated for e in endpoints),
    )


def _ask(target: Target, timeout_s: float, unix_s: float) -> _Answer:
    began_s = time.monotonic()
    look: Look | None = None
    try:
        with DeviceClient([target], timeout_s=timeout_s) as client:
            look = _identify(client, unix_s)
    except StarlinkError as e:
        verdict, detail = e.reason.value, e.detail
    else:
        verdict, detail = OK, _describe(look.snapshot)
    seen = look.snapshot if look else None
    return _Answer(
        target,
        Verdict(
            target.role,
            target.transport,
            join_address(target.host, target.port),
            verdict,
            seen.role if seen else "",
            detail,
            round((time.monotonic() - began_s) * 1000, 1),
        ),
        seen,
    )


def _identify(client: DeviceClient, unix_s: float) -> Look:
    try:
        return look_at(client.ask_status(), None, unix_s=unix_s)
    except StarlinkError as e:
        if e.reason is not Reason.UNIMPLEMENTED:
            raise
        detail = "a gRPC server that knows neither get_status nor get_diagnostics"
        raise failure(Reason.NOT_STARLINK, detail) from e


def _describe(seen: Snapshot) -> str:
    return f"{seen.role} {seen.device_id}, firmware {seen.software or 'unknown'}"


def _strangers(answers: Sequence[_Answer]) -> list[str]:
    """Tell of addresses at which somebody else lives."""
    notes = []
    for answer in answers:
        seen = answer.verdict
        if seen.device and seen.device != seen.expected:
            notes.append(f"{seen.address} is a {seen.device}, not the {seen.expected}")
        elif seen.verdict == Reason.NOT_STARLINK.value:
            notes.append(f"{seen.address} is not a Starlink device: {seen.detail}")
    return notes


def _missing_router(
    devices: Mapping[str, Device], dish: Snapshot | None, *, bypassed: bool
) -> list[str]:
    """Explain a silent router by what the dish knows of it."""
    if ROUTER in devices or dish is None:
        return []
    if bypassed:
        return ["the router is in bypass mode: it stays silent, the dish is enough"]
    if not dish.routers:
        return ["the dish knows no Starlink router: it is off, or another make is in use"]
    return [f"the dish sees a router ({', '.join(dish.routers)}) that does not answer here"]


def _hints(
    answers: Sequence[_Answer], devices: Mapping[str, Device], *, bypassed: bool
) -> list[str]:
    """Say what to try next for each device that was not found."""
    hints = []
    hosts = {a.target.role: a.target.host for a in answers}
    if DISH in hosts and DISH not in devices:
        address = hosts[DISH]
        hints += [
            f"ip route get {address} shows the way that is taken to the dish",
            f"behind another router, or in bypass mode: ip route add {address}/32 dev <wan>",
            "a firewall between must let TCP 9200 and 9201 pass (ping alone proves nothing)",
        ]
    if ROUTER in hosts and ROUTER not in devices and not bypassed:
        hints.append(
            f"{hosts[ROUTER]} is many routers' address; a Starlink router may be elsewhere: "
            "--router-ip 192.168.2.1, or the gateway that ip route shows as default"
        )
    if not devices:
        hints.append(SIMULATED_SITE)
    return hints
