"""`sakina auth-flow`: log in at an issuer, and keep the login."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit
from sakina.commands.options import Store, User

if TYPE_CHECKING:
    from sakina.grant import Grant
    from sakina.oauth.device import DeviceCode


@dataclass(frozen=True, slots=True)
class LoginReport:
    """A login that was made.

    Attributes:
        profile: the name under which it is kept.
        provider: as it was asked for.
        issuer: who gave the token.
        flow: `device`, `browser`, `client-credentials` or `with-token`.
        client_id: who logged in on this gateway's behalf.
        subject: who logged in; empty if the issuer does not say.
        username: how that one is called; empty if unknown.
        scopes: what the issuer granted; null if it does not tell.
        local_scopes: enforced on this gateway alone.
        token_type: `Bearer` or `DPoP`.
        expires: until when the present token is good, RFC 3339; null if unknown.
        renewable: a new token can be had without a person.
        store: `file`, `keyring` or `none`.
        simulated: the simulated site played the issuer.
    """

    profile: str
    provider: str
    issuer: str
    flow: str
    client_id: str
    subject: str
    username: str
    scopes: tuple[str, ...] | None
    local_scopes: tuple[str, ...]
    token_type: str
    expires: str | None
    renewable: bool
    store: str
    simulated: bool


class Terminal:
    """The person at the terminal: prompts and codes go to stderr."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def show_code(self, code: "DeviceCode") -> None:
        """Tell where to go, and which code to type there."""
        from dunes.text import printable
        from dunes.units import show_duration

        say = self._say
        say(f"open      {printable(code.verification_uri)}")
        say(f"and type  {code.user_code}")
        if code.verification_uri_complete:
            say(f"or open   {printable(code.verification_uri_complete)}")
        say(f"waiting for somebody to approve it, {show_duration(code.expires_in_s)} at most …")

    def show_page(self, url: str, *, opened: bool) -> None:
        """Tell which page to open, or that it was opened."""
        self._say("the browser was asked to open" if opened else "open in a browser here")
        self._say(f"  {url}")

    def warn(self, text: str) -> None:
        """Tell that something is not as it should be."""
        self._screen.warn(text)

    def _say(self, text: str) -> None:
        """Write what a person needs, under --quiet too: without it nobody can log in."""
        quiet, self._screen.quiet = self._screen.quiet, 0
        try:
            self._screen.note(text)
        finally:
            self._screen.quiet = quiet


@command(schema="sakina.auth-flow/1", report="sakina.commands.auth_flow:LoginReport")
def auth_flow(
    screen: Screen,
    provider: Annotated[
        str | None,
        typer.Option(metavar="NAME|URL", help="A preset (starlink, site), or any issuer's URL."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="What to ask for; repeatable, or with spaces."),
    ] = None,
    user: User = "default",
    flow: Annotated[
        str,
        typer.Option(
            metavar="auto|device|browser|client-credentials",
            help="How to log in; auto: by what is there.",
        ),
    ] = "auto",
    issuer: Annotated[
        str | None, typer.Option(metavar="URL", help="Another issuer for the preset.")
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(metavar="ID", help="As registered at the issuer.")
    ] = None,
    client_secret_file: Annotated[
        str | None,
        typer.Option(metavar="FILE|-", help="A file with the client's secret; `-`: stdin."),
    ] = None,
    client_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A private key (PEM or JWK) in place of a secret."),
    ] = None,
    client_key_alg: Annotated[
        str, typer.Option(metavar="ES256", help="How that key signs; ES256 is what there is.")
    ] = "ES256",
    resource: Annotated[
        str, typer.Option(metavar="URI", help="Whom the token is for (RFC 8707).")
    ] = "",
    audience: Annotated[
        str, typer.Option(metavar="NAME", help="The same, for issuers that call it audience.")
    ] = "",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
    redirect_port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Where the browser comes back; 0: any free port."),
    ] = 0,
    dpop: Annotated[
        str,
        typer.Option(metavar="auto|on|off", help="Bind the token to a key of this gateway."),
    ] = "auto",
    timeout: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="For the whole login. [default: as the issuer waits]"
        ),
    ] = None,
    token_store: Store = None,
    insecure_storage: Annotated[
        bool, typer.Option("--insecure-storage", help="Keep the login in a file in clear.")
    ] = False,
    allow_partial_scope: Annotated[
        bool,
        typer.Option("--allow-partial-scope", help="Keep a login with less than was asked for."),
    ] = False,
    with_token: Annotated[
        bool, typer.Option("--with-token", help="Keep a token that is read from stdin.")
    ] = False,
    ca_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM authorities of the issuer.")
    ] = None,
) -> int:
    """Log in at an issuer with OAuth 2.0, and keep the login."""
    from dunes.settings import load
    from sakina.preparing import Wishes, make_login

    wishes = Wishes(
        provider=provider,
        scopes=tuple(scope or ()),
        profile=user,
        flow=flow,
        issuer=issuer,
        client_id=client_id,
        client_secret_file=client_secret_file,
        client_key=client_key,
        client_key_alg=client_key_alg,
        resource=resource,
        audience=audience,
        browser=browser,
        redirect_port=redirect_port,
        dpop=dpop,
        timeout=timeout,
        token_store=token_store,
        in_clear=insecure_storage,
        allow_less=allow_partial_scope,
        with_token=with_token,
        ca_file=ca_file,
    )
    grant, store = make_login(load().paths, wishes, Terminal(screen))
    screen.show(report_of(grant, store), lines)
    return Exit.OK


def report_of(grant: "Grant", store: str) -> LoginReport:
    """Describe a login without its secrets."""
    from dunes.clock import US_PER_S, rfc3339

    return LoginReport(
        profile=grant.profile,
        provider=grant.provider,
        issuer=grant.metadata.issuer,
        flow=grant.flow,
        client_id=grant.client_id,
        subject=grant.subject,
        username=grant.username,
        scopes=grant.scopes,
        local_scopes=grant.local_scopes,
        token_type=grant.token_type,
        expires=None if grant.expires_s is None else rfc3339(grant.expires_s * US_PER_S),
        renewable=grant.renewable,
        store=store,
        simulated=grant.simulated,
    )


def lines(report: LoginReport) -> Iterator[str]:
    """Write a login in words."""
    kept = "not kept" if report.store == "none" else f"kept in the {report.store} store"
    yield f"logged in at {report.issuer} as profile {report.profile}, {kept}"
    yield from detail_lines(report)


def detail_lines(report: LoginReport) -> Iterator[str]:
    """Write what a login is good for."""
    from dunes.text import printable

    if report.subject:
        name = f" ({printable(report.username, 60)})" if report.username else ""
        yield f"  who       {printable(report.subject, 60)}{name}"
    if report.local_scopes:
        yield f"  scope     {' '.join(report.local_scopes)} (enforced on this gateway)"
    elif report.scopes is None:
        yield "  scope     the issuer does not say"
    else:
        yield f"  scope     {printable(' '.join(report.scopes)) or 'none'}"
    until = report.expires or "the issuer does not say when"
    again = "renewed by itself" if report.renewable else "then a new login is needed"
    yield f"  token     {report.token_type}, until {until}; {again}"
    yield f"  flow      {report.flow}"
    if report.simulated:
        yield "  simulated yes (dunes sim status)"
