"""`sakina init`: where logins are kept, and whom to log in at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit
from sakina.commands.options import Store


@dataclass(frozen=True, slots=True)
class InitReport:
    """What `sakina` will use.

    Attributes:
        store: `file`, `keyring` or `none`; it was tried.
        store_origin: who chose it.
        place: the file store's directory; empty for the others.
        lock: what files are locked with: `passphrase`, `machine`; empty for other stores.
        provider: used where none is named.
        issuer: that provider's issuer.
        flows: how it is logged in at.
        memory: the file that remembers all this.
        changed: something is other than before.
        simulated: the simulated site plays the provider.
    """

    store: str
    store_origin: str
    place: str
    lock: str
    provider: str
    issuer: str
    flows: tuple[str, ...]
    memory: str
    changed: bool
    simulated: bool


@command(schema="sakina.init/1", report="sakina.commands.init:InitReport")
def init(
    screen: Screen,
    provider: Annotated[
        str | None,
        typer.Option(metavar="NAME|URL", help="Whom to log in at where none is named."),
    ] = None,
    token_store: Store = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try the store, and remember nothing.")
    ] = False,
) -> int:
    """Choose and try the token store, and the provider used where none is named."""
    from dunes.settings import load
    from sakina.setup import set_up

    report = set_up(load().paths, provider, token_store, dry_run=dry_run)
    screen.show(InitReport(**report), lines)
    return Exit.OK


def lines(report: InitReport) -> Iterator[str]:
    """Write the choices in words."""
    yield f"token store  {report.store}: tried, and it works ({report.store_origin})"
    if report.place:
        yield f"             {report.place}"
    if report.lock == "machine":
        yield "             locked with this machine's own key, which lies beside it:"
        yield "             safe from a copied file alone; a passphrase keeps it from more"
    elif report.lock:
        yield "             locked with the passphrase that was given"
    yield f"provider     {report.provider}: {report.issuer}"
    yield f"             by {', '.join(report.flows)}"
    if report.simulated:
        yield "simulated    yes (dunes sim status)"
    yield f"remembered   {report.memory}" + ("" if report.changed else ", as before")
