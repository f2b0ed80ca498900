"""`sakina auth status`: which logins there are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit
from sakina.commands.auth_flow import LoginReport, detail_lines, report_of
from sakina.commands.options import Store

if TYPE_CHECKING:
    from sakina.grant import Grant
    from sakina.journal import Journal


@dataclass(frozen=True, slots=True)
class LoginState:
    """A stored login.

    Attributes:
        login: what it is.
        state: `good`, `renewable` (the token is over, a new one comes by itself) or
            `expired` (a person has to log in).
        obtained: when the present token came, RFC 3339.
        interrupted: what a killed process left behind; empty if nothing.
    """

    login: LoginReport
    state: str
    obtained: str
    interrupted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusReport:
    """All stored logins.

    Attributes:
        store: `file`, `keyring` or `none`.
        store_origin: who chose it.
        environment_token: SAKINA_TOKEN is set; it wins over all logins.
        logins: by profile.
        damaged: profiles whose login cannot be read, and why.
        interrupted: logins that never came to be, as a process was killed.
    """

    store: str
    store_origin: str
    environment_token: bool
    logins: tuple[LoginState, ...]
    damaged: dict[str, str] = field(default_factory=dict)
    interrupted: tuple[str, ...] = ()


@command(schema="sakina.auth-status/1", report="sakina.commands.auth_status:StatusReport")
def status(
    screen: Screen,
    user: Annotated[
        str | None, typer.Option("--user", metavar="PROFILE", help="Only this profile.")
    ] = None,
    token_store: Store = None,
) -> int:
    """Say which logins are kept, for what, and until when."""
    from dunes.errors import DunesError
    from dunes.settings import load
    from sakina.journal import Journal
    from sakina.memory import load_memory
    from sakina.session import check_profile, environment_token
    from sakina.store.choose import choose_store

    paths = load().paths
    store, origin = choose_store(paths, load_memory(paths), token_store)
    journal = Journal(paths)
    names = store.profiles() if user is None else [check_profile(user)]
    logins, damaged = [], {}
    for name in names:
        try:
            grant = store.load(name)
        except DunesError as e:
            damaged[name] = e.message
            continue
        if grant is not None:
            logins.append(_state(grant, store.name, journal))
    known = {each.login.profile for each in logins}
    open_names = [user] if user is not None else journal.profiles()
    lost = [str(w) for name in open_names if name not in known for w in journal.look(name)]
    report = StatusReport(
        store.name,
        origin,
        environment_token() is not None,
        tuple(logins),
        damaged,
        tuple(lost),
    )
    screen.show(report, lines)
    good = bool(logins) and not damaged and all(each.state != "expired" for each in logins)
    return Exit.OK if good or (report.environment_token and not damaged) else Exit.NO


def _state(grant: "Grant", store: str, journal: "Journal") -> LoginState:
    from dunes.clock import US_PER_S, rfc3339
    from sakina.oauth.wait import SYSTEM_WAIT

    usable = grant.usable(SYSTEM_WAIT.unix_s())
    state = "good" if usable else "renewable" if grant.renewable else "expired"
    return LoginState(
        report_of(grant, store),
        state,
        rfc3339(grant.obtained_s * US_PER_S),
        tuple(str(each) for each in journal.look(grant.profile)),
    )


def lines(report: StatusReport) -> Iterator[str]:
    """Write all logins in words."""
    if report.environment_token:
        yield "SAKINA_TOKEN is set, and wins over every login below"
    if not report.logins and not report.damaged:
        yield f"no login is kept (store: {report.store}, {report.store_origin})"
    for each in report.logins:
        login = each.login
        yield f"{login.profile}: {each.state}, {login.provider}, in the {login.store} store"
        yield f"  issuer    {login.issuer}"
        yield from detail_lines(login)
        for word in each.interrupted:
            yield f"  note      {word}"
    for name, why in report.damaged.items():
        yield f"{name}: cannot be read: {why}"
    for word in report.interrupted:
        yield f"note: {word}"
