"""`mcp ground-station enroll|revoke|list`: who may write."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import table_lines
from dunes.errors import Exit
from dunes_mcp.commands.ground_options import Data

if TYPE_CHECKING:
    from dunes.uplink.enroll import Enrolled

API_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A gateway's standing after the command.

    Attributes:
        gateway: its name.
        kid: id of its signing key.
        standing: `enrolled` or `revoked`.
        changed: whether this command made it so.
        api_key_file: where a key that was made here was written; empty if it was given.
    """

    gateway: str
    kid: str
    standing: str
    changed: bool
    api_key_file: str = ""


@dataclass(frozen=True, slots=True)
class GatewayEntry:
    """A row of the list."""

    gateway: str
    kid: str
    standing: str
    enrolled_at: str
    changed_at: str


@dataclass(frozen=True, slots=True)
class GatewayList:
    """Who may write."""

    data: str
    gateways: list[GatewayEntry]


@command(schema="dunes.ground-station-enroll/1", report=f"{__name__}:Enrolment")
def enroll_one(
    screen: Screen,
    gateway: Annotated[str, typer.Argument(help="The gateway's name, as mcp init printed it.")],
    data: Data,
    key: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="The gateway's public key: gateway.pub.pem, or a .pub.maml."
        ),
    ],
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The API key that the gateway presents; without it, or DUNES_API_KEY, one is "
            "made and written to GATEWAY.api-key in the data directory.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="The gateway has a new signing key on purpose.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the key, and change nothing.")
    ] = False,
) -> int:
    """Let a gateway write to this ground station."""
    import secrets

    from dunes.crypto import keyio
    from dunes.secrets import Secret, given_secret
    from dunes.uplink.enroll import enroll_gateway, find_gateway
    from dunes.uplink.grounddir import ground_buffer
    from dunes.uplink.publickey import read_public_key

    public = read_public_key(key)
    given = given_secret("api-key", file=api_key_file)
    made = ""
    with ground_buffer(data, create=not dry_run) as buffer:
        known = find_gateway(buffer, gateway)
        if dry_run:
            standing = known.standing.value if known else "not enrolled"
            screen.show(Enrolment(gateway, public.key.kid, standing, changed=False), lines)
            return Exit.OK
        if given is not None:
            secret = given.secret
            if given.warning:
                screen.warn(given.warning)
        else:
            secret = Secret(secrets.token_urlsafe(API_KEY_BYTES))
            made = str(data / f"{gateway}.api-key")
        entry, changed = enroll_gateway(
            buffer, gateway, public.key.spki_der, secret, replace=replace
        )
        if made:
            keyio.write_over(Path(made), secret.reveal().encode() + b"\n")
    screen.show(Enrolment(entry.gateway, entry.kid, entry.standing.value, changed, made), lines)
    return Exit.OK


@command(schema="dunes.ground-station-revoke/1", report=f"{__name__}:Enrolment")
def revoke_one(
    screen: Screen,
    gateway: Annotated[str, typer.Argument(help="The gateway's name.")],
    data: Data,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
) -> int:
    """Let a gateway write no more; what it wrote stays."""
    from dunes.uplink.enroll import find_gateway, revoke_gateway
    from dunes.uplink.grounddir import ground_buffer

    with ground_buffer(data) as buffer:
        known = find_gateway(buffer, gateway)
        changed = False if dry_run and known is not None else revoke_gateway(buffer, gateway)
        entry = find_gateway(buffer, gateway)
    kid = "" if entry is None else entry.kid
    standing = "" if entry is None else entry.standing.value
    screen.show(Enrolment(gateway, kid, standing, changed), lines)
    return Exit.OK


@command(schema="dunes.ground-station-list/1", report=f"{__name__}:GatewayList")
def list_all(screen: Screen, data: Data) -> int:
    """List the gateways that may write, and those that may no more."""
    from dunes.uplink.enroll import list_gateways
    from dunes.uplink.grounddir import ground_buffer

    with ground_buffer(data) as buffer:
        entries = [_entry(gateway) for gateway in list_gateways(buffer)]
    screen.show(GatewayList(str(data), entries), list_lines)
    return Exit.OK


def _entry(gateway: "Enrolled") -> GatewayEntry:
    from dunes.clock import rfc3339

    return GatewayEntry(
        gateway.gateway,
        gateway.kid,
        gateway.standing.value,
        rfc3339(gateway.enrolled_us),
        rfc3339(gateway.changed_us),
    )


def lines(report: Enrolment) -> Iterator[str]:
    """Write a gateway's standing for people."""
    new = "" if report.changed else " (nothing to change)"
    yield f"{report.gateway}: {report.standing}{new}, signs with key {report.kid}"
    if report.api_key_file:
        yield f"its API key was made: bring {report.api_key_file} to the gateway, then there:"
        yield f"  mcp init --api-key-file {Path(report.api_key_file).name}"


def list_lines(report: GatewayList) -> Iterator[str]:
    """Write the list for people."""
    if not report.gateways:
        yield "no gateway is enrolled"
        return
    yield from table_lines(
        ["GATEWAY", "STANDING", "KEY", "SINCE"],
        [[g.gateway, g.standing, g.kid, g.enrolled_at] for g in report.gateways],
    )
