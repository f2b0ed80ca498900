"""`sakina auth token`: the one command that prints a token."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit
from sakina.commands.options import Store, Timeout, User


@dataclass(frozen=True, slots=True)
class TokenReport:
    """A token, to be shown to a resource. A secret.

    Attributes:
        profile: whose; empty for SAKINA_TOKEN.
        access_token: the token itself.
        token_type: `Bearer` or `DPoP`.
        expires: until when it is good, RFC 3339; null if unknown.
        headers: of the request that was named with --headers.
        simulated: the simulated site issued it.
    """

    profile: str
    access_token: str
    token_type: str
    expires: str | None
    headers: dict[str, str]
    simulated: bool


@command(schema="sakina.auth-token/1", report="sakina.commands.auth_token:TokenReport")
def token(
    screen: Screen,
    user: User = "default",
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="Fail if the login is not for this; repeatable."),
    ] = None,
    headers: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Print the headers of a request to this URL instead."),
    ] = None,
    method: Annotated[
        str, typer.Option(metavar="GET|POST", help="Of that request; a DPoP proof names it.")
    ] = "GET",
    dpop_nonce: Annotated[
        str,
        typer.Option(metavar="NONCE", help="What that URL's last answer gave in DPoP-Nonce."),
    ] = "",
    token_store: Store = None,
    timeout: Timeout = "15s",
) -> int:
    """Print a login's access token, renewed if need be."""
    from dunes.clock import US_PER_S, rfc3339
    from dunes.settings import load
    from dunes.units import duration_s
    from sakina.scopes import parse_scopes
    from sakina.session import Session, check_profile, environment_token

    wanted = parse_scopes(scope or ())
    given = environment_token()
    if given is not None:
        if wanted:
            screen.warn("SAKINA_TOKEN is used; what it is for is not known here")
        text = given.reveal()
        shown = {"authorization": f"Bearer {text}"} if headers else {}
        screen.show(TokenReport("", text, "Bearer", None, shown, simulated=False), lines)
        return Exit.OK
    profile = check_profile(user)
    timeout_s = duration_s(timeout)
    session = Session.open(load().paths, profile, asked_store=token_store, timeout_s=timeout_s)
    session.need_scopes(wanted)
    for word in session.journal.look(profile):
        screen.warn(str(word))
    grant = session.renew()
    expires = None if grant.expires_s is None else rfc3339(grant.expires_s * US_PER_S)
    report = TokenReport(
        profile,
        grant.access_token.reveal(),
        grant.token_type,
        expires,
        session.headers(method, headers, dpop_nonce) if headers else {},
        grant.simulated,
    )
    if grant.token_type == "DPoP" and not headers:  # noqa: S105 - a type
        screen.note("this token is good only with a proof of its key: --headers URL")
    screen.show(report, lines)
    return Exit.OK


def lines(report: TokenReport) -> Iterator[str]:
    """Write the token alone, or the headers."""
    if not report.headers:
        yield report.access_token
    for name, value in report.headers.items():
        yield f"{name}: {value}"
