"""`sakina auth refresh`: a new token now."""

from collections.abc import Iterator

from dunes.console import Screen, command
from dunes.errors import Exit
from sakina.commands.auth_flow import LoginReport, detail_lines, report_of
from sakina.commands.options import Store, Timeout, User


@command(schema="sakina.auth-refresh/1", report="sakina.commands.auth_flow:LoginReport")
def refresh(
    screen: Screen, user: User = "default", token_store: Store = None, timeout: Timeout = "15s"
) -> int:
    """Renew a login's token now."""
    from dunes.settings import load
    from dunes.units import duration_s
    from sakina.session import Session, check_profile

    profile = check_profile(user)
    timeout_s = duration_s(timeout)
    session = Session.open(load().paths, profile, asked_store=token_store, timeout_s=timeout_s)
    for word in session.journal.look(profile):
        screen.warn(str(word))
    grant = session.renew(force=True)
    screen.show(report_of(grant, session.store.name), lines)
    return Exit.OK


def lines(report: LoginReport) -> Iterator[str]:
    """Write the renewed login in words."""
    yield f"profile {report.profile} has a new token of {report.issuer}"
    yield from detail_lines(report)
