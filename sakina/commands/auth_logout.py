"""`sakina auth logout`: the end of a login, at the issuer and here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit
from sakina.commands.options import Store, Timeout, User


@dataclass(frozen=True, slots=True)
class LogoutReport:
    """The end of a login.

    Attributes:
        profile: whose.
        was_kept: there was a login.
        forgotten: it is not here any more.
        revoked: the issuer confirmed that its tokens are worth nothing.
        why_not_revoked: what was in the way; empty if nothing was.
        dry_run: nothing was done.
        simulated: the simulated site played the issuer.
    """

    profile: str
    was_kept: bool
    forgotten: bool
    revoked: bool
    why_not_revoked: str = ""
    dry_run: bool = False
    simulated: bool = False


@command(schema="sakina.auth-logout/1", report="sakina.commands.auth_logout:LogoutReport")
def logout(
    screen: Screen,
    user: User = "default",
    local: Annotated[
        bool, typer.Option("--local", help="Forget it here only; the issuer is not told.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    token_store: Store = None,
    timeout: Timeout = "15s",
) -> int:
    """End a login: revoke it at the issuer, and forget it here."""
    from dunes.settings import load
    from dunes.units import duration_s
    from sakina.logout import log_out
    from sakina.session import check_profile

    report = log_out(
        load().paths,
        check_profile(user),
        asked_store=token_store,
        timeout_s=duration_s(timeout),
        local=local,
        dry_run=dry_run,
    )
    screen.show(LogoutReport(**report), lines)
    return Exit.OK


def lines(report: LogoutReport) -> Iterator[str]:
    """Write the end in words."""
    if not report.was_kept:
        yield f"no login was kept for profile {report.profile}"
        return
    if report.dry_run:
        yield f"profile {report.profile} would be revoked at its issuer and forgotten here"
        return
    yield f"profile {report.profile} is forgotten here"
    if report.revoked:
        yield "its tokens are revoked at the issuer"
    else:
        yield f"its tokens are not revoked: {report.why_not_revoked}"
