"""Set a gateway up for its Starlink: probe, then write down what was found."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dunes.clock import SYSTEM_CLOCK, US_PER_S
from dunes.errors import UsageError
from dunes.secrets import Given, store_secret
from dunes.settings import Settings, profile_path, write_profile
from dunes.site import Site
from dunes.starlink.client import targets
from dunes.starlink.probe import Device, Findings, Verdict, probe
from dunes.starlink.status import DISH, ROUTER

KEY_NAME = "api-key"
HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.?")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for.

    Attributes:
        router_ip: where the router is.
        dish_ip: where the dish is.
        transport: `auto`, `grpc` or `grpc-web`.
        timeout_s: for each endpoint; all are asked at once.
        verify: ask the devices before anything is written.
        dry_run: write nothing.
    """

    router_ip: str
    dish_ip: str
    transport: str
    timeout_s: float
    verify: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class InitReport:
    """What was found and written.

    Attributes:
        found: a dish or a router answered.
        verified: the devices were asked.
        written: the profile was written.
        profile: the profile's file.
        router_ip: as given or configured.
        dish_ip: likewise.
        transport: likewise.
        api_key: `stored`, `not given`, `not stored`; never the key.
        devices: what answered, by role.
        bypassed: the router is in bypass mode.
        verdicts: one for each endpoint.
        notes: what a person should know.
        hints: what to type next.
        simulated: the answers come from the simulated site.
    """

    found: bool
    verified: bool
    written: bool
    profile: str
    router_ip: str
    dish_ip: str
    transport: str
    api_key: str
    devices: Mapping[str, Device]
    bypassed: bool
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]
    hints: tuple[str, ...]
    simulated: bool


def check_host(text: str, option: str) -> str:
    """Give an address back if it is one, without a port.

    Raises:
        UsageError: it is not.
    """
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        if HOST.fullmatch(text) and not text.replace(".", "").isdigit():
            return text
    raise UsageError(
        f"{option} {text[:80]!r} is not an address",
        hint=f"give it without port or http://, like {option} 192.168.1.1",
    )


def set_up(plan: Plan, key: Given | None, settings: Settings, site: Site | None) -> InitReport:
    """Find the devices and remember them; nothing is written if none answers.

    The key is the mission's credential for the uplink. It is stored and never sent to a
    device: the local interface knows no keys.

    Raises:
        UsageError: an address or transport that cannot be.
        StorageError: the key or the profile cannot be written.
    """
    endpoints = [
        *targets(DISH, check_host(plan.dish_ip, "--dish-ip"), plan.transport, site),
        *targets(ROUTER, check_host(plan.router_ip, "--router-ip"), plan.transport, site),
    ]
    if plan.verify:
        unix_s = SYSTEM_CLOCK.unix_us() / US_PER_S
        findings = probe(endpoints, timeout_s=plan.timeout_s, unix_s=unix_s)
    else:
        findings = Findings((), {}, simulated=any(e.simulated for e in endpoints))
    found = bool(findings.devices)
    write = not plan.dry_run and (found or not plan.verify)
    notes = list(findings.notes)
    if key is not None:
        notes.append("the API key is the mission's uplink credential; it is not sent to a device")
    if write:
        if key is not None:
            store_secret(settings.paths, KEY_NAME, key.secret)
        hidden = write_profile(settings, _changes(plan, findings, site))
        notes += [f"{name} is overridden by {settings.origin(name)}" for name in hidden]
    return InitReport(
        found=found,
        verified=plan.verify,
        written=write,
        profile=str(profile_path(settings.paths)),
        router_ip=plan.router_ip,
        dish_ip=plan.dish_ip,
        transport=plan.transport,
        api_key="not given" if key is None else "stored" if write else "not stored",
        devices=findings.devices,
        bypassed=findings.bypassed,
        verdicts=findings.verdicts,
        notes=tuple(notes),
        hints=findings.hints,
        simulated=findings.simulated,
    )


def _changes(plan: Plan, findings: Findings, site: Site | None) -> dict[str, Any]:
    devices = {role: asdict(device) for role, device in findings.devices.items()}
    return {
        "starlink.router_ip": plan.router_ip,
        "starlink.dish_ip": plan.dish_ip,
        "starlink.transport": plan.transport,
        "starlink.devices": devices or None,
        "site.simulated": site.name if site is not None and findings.simulated else None,
    }
