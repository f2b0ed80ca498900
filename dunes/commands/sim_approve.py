"""`dunes sim approve`: be the person on the other screen."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes.sim.control import ApproveState


@command(schema="dunes.sim-approve/1", report="dunes.sim.control:ApproveState")
def approve(
    screen: Screen,
    code: Annotated[
        str, typer.Argument(metavar="[CODE]", help="The login's code; the only one, if left out.")
    ] = "",
    user: Annotated[
        str, typer.Option(metavar="NAME", help="In whose name it is decided.")
    ] = "operator",
    deny: Annotated[bool, typer.Option("--deny", help="Refuse it.")] = False,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="Wait so long for a login that is to come.")
    ] = "0s",
) -> int:
    """Approve or refuse a login at the site's identity provider, as a person would."""
    import time

    from dunes.errors import UsageError
    from dunes.settings import load
    from dunes.sim.control import ApproveRequest, SiteControl
    from dunes.site import need_site
    from dunes.units import duration_s

    control = SiteControl.of(need_site(load().paths))
    deadline_s = time.monotonic() + duration_s(timeout)
    while True:
        try:
            state = control.request_approval(ApproveRequest(code, user, not deny))
        except UsageError:
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(0.1)
        else:
            break
    screen.show(state, lines)
    return Exit.OK


def lines(state: "ApproveState") -> Iterator[str]:
    """Write what was decided."""
    what = "approved" if state.approved else "refused"
    yield f"login {state.code} of {state.client} is {what} by {state.user} (simulated)"
