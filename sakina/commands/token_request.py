"""`sakina token-request` and `sakina token-revoke`: tokens begin, and end early."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, NotFound
from dunes.units import duration_s

if TYPE_CHECKING:
    from sakina.tokens import TokenReport


@command(schema="sakina.token/1", report="sakina.tokens:TokenReport")
def token_request(
    screen: Screen,
    scope: Annotated[
        list[str],
        typer.Option("--scope", metavar="SCOPE", help="What it is for; repeatable."),
    ],
    device: Annotated[
        str,
        typer.Option("--device", metavar="NAME", help="For whom. [default: this place itself]"),
    ] = "",
    audience: Annotated[
        str,
        typer.Option("--audience", metavar="NAME", help="The one gateway it counts at."),
    ] = "",
    lifetime: Annotated[
        str, typer.Option("--lifetime", metavar="DURATION", help="How long; at most 31d.")
    ] = "15m",
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where it goes; `-`: stdout."),
    ] = Path("-"),
) -> int:
    """Issue a token in this place's name; witnesses elsewhere may sign it.

    It is a JWT signed with ML-DSA-65 (RFC 9964). A device with a trusted key gets one that
    is bound to that key. Where this place is no authority, witnesses have to sign.
    """
    from dunes.authority.store import load_policies
    from dunes.authority.token import make_token, read_token
    from dunes.clock import SYSTEM_CLOCK, US_PER_S
    from dunes.commands.markup_keys import write_file
    from dunes.crypto.errors import UnknownKey
    from dunes.crypto.identity import load_identity
    from dunes.crypto.truststore import TrustStore
    from dunes.model import check_name
    from dunes.paths import find_paths
    from sakina.tokens import make_claims, report_of

    paths = find_paths()
    known = load_policies(paths).scopes
    for name in scope:
        if name not in known:
            raise NotFound(
                f"no scope {name[:60]!r}", hint="sakina scope-list", code="unknown-scope"
            )
    identity = load_identity(paths)
    subject, bound_to = identity.name, identity.kid
    if device:
        subject = check_name(device, "device")
        try:
            bound_to = TrustStore.at(paths).device(device).kid
        except UnknownKey:
            bound_to = ""
            screen.warn(f"no key is trusted as {device}'s: whoever has the token can use it")
    now_s = SYSTEM_CLOCK.unix_us() // US_PER_S
    claims = make_claims(
        identity.kid, subject, scope, now_s, duration_s(lifetime), audience=audience,
        bound_to=bound_to,
    )  # fmt: skip
    token = read_token(make_token(claims, identity.signing))
    if str(output) != "-":
        write_file(output, token.text.encode("ascii") + b"\n", mode=0o600)
    screen.show(report_of(token, str(output), show=str(output) == "-"), issued_lines)
    return Exit.OK


def issued_lines(report: "TokenReport") -> Iterator[str]:
    """Give the token itself, or tell where it is."""
    if report.token:
        yield report.token
        return
    yield f"{report.file}: {', '.join(report.scopes)} for {printable(report.subject)}"
    yield f"  until {report.expires_at}, id {report.id}"
    bound = f"bound to key {report.bound_to}" if report.bound_to else "not bound to a key"
    yield f"  issued by {report.issuer}, {bound}"


@dataclass(frozen=True, slots=True)
class RevokeReport:
    """A token that counts no longer.

    Attributes:
        id: its `jti`.
        log_index: where the revocation stands in the transparency log.
    """

    id: str
    log_index: int | None


@command(schema="sakina.token-revoke/1", report="sakina.commands.token_request:RevokeReport")
def token_revoke(
    screen: Screen,
    token: Annotated[str, typer.Argument(metavar="ID|FILE", help="The token's id, or its file.")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for those who look later.")
    ] = "",
) -> int:
    """Let a token count no longer at this place, for good."""
    from dunes.authority.ledger import append_events
    from dunes.authority.record import Recorder
    from dunes.authority.standing import Event, Kind
    from dunes.authority.token import read_token
    from dunes.clock import SYSTEM_CLOCK
    from dunes.commands.markup_keys import read_file
    from dunes.settings import load

    settings = load()
    end: float | None = None
    if Path(token).exists():
        claims = read_token(read_file(Path(token)).decode("utf-8", "replace")).claims
        token, end = claims.jti, float(claims.exp)
    recorder = Recorder.at(settings.paths, settings["gateway.id"] or "gateway")
    event = Event(token[:256], Kind.REVOKE_TOKEN, SYSTEM_CLOCK.unix_us(), 1, end, reason[:200])
    [issued] = append_events(recorder, [event])
    screen.show(
        RevokeReport(token, issued.log_index),
        lambda r: [f"token {printable(r.id)} counts no longer; entry {r.log_index} of the log"],
    )
    return Exit.OK
