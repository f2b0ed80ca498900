"""`sakina scope-add` and `sakina scope-list`: what there is to have, and who has it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable, table_lines
from dunes.errors import Exit, UsageError
from dunes.units import duration_s

if TYPE_CHECKING:
    from dunes.authority.policy import Scope
    from sakina.policies import PolicyReport

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="At the ground station that has its data there."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, change nothing.")]
Names = list[str] | None


@command(schema="sakina.scopes/1", report="sakina.policies:PolicyReport")
def scope_list(
    screen: Screen,
    table: Annotated[
        str,
        typer.Option("--table", metavar="NAME", help="Only what is about this table."),
    ] = "",
    data: Data = None,
) -> int:
    """Show scopes, who has them, and what is allowed or denied outright."""
    from dataclasses import replace

    from dunes.authority.policy import matches_any
    from dunes.model import table_name
    from sakina.policies import describe, place

    report = describe(place(data))
    if table:
        name = table_name(table)
        report = replace(
            report,
            scopes=tuple(s for s in report.scopes if matches_any(s.tables, name)),
            rules=tuple(r for r in report.rules if matches_any(r.tables, name)),
        )
    if report.signed is False:
        screen.warn(f"{report.file} was changed by hand since it was signed")
    screen.show(report, lines)
    return Exit.OK


@command(schema="sakina.scopes/1", report="sakina.policies:PolicyReport")
def scope_add(
    screen: Screen,
    name: Annotated[str, typer.Argument(metavar="SCOPE", help="Its name, e.g. rover-arm.")],
    action: Annotated[
        Names,
        typer.Option("--action", metavar="ACTION", help="What it allows; repeatable."),
    ] = None,
    table: Annotated[
        Names, typer.Option("--table", metavar="NAME", help="On which tables; repeatable.")
    ] = None,
    device: Annotated[
        Names,
        typer.Option("--device", metavar="NAME", help="On which devices, e.g. rover-*."),
    ] = None,
    destination: Annotated[
        Names, typer.Option("--destination", metavar="NAME", help="To which ground stations.")
    ] = None,
    about: Annotated[
        str | None, typer.Option("--about", metavar="TEXT", help="One sentence for people.")
    ] = None,
    min_standing: Annotated[
        float | None,
        typer.Option("--min-standing", min=0, max=1, help="Score below which it counts not."),
    ] = None,
    assurance: Annotated[
        str | None,
        typer.Option(
            "--assurance",
            metavar="seen|enrolled|mesh|challenge",
            help="What a device has to prove for PASS.",
        ),
    ] = None,
    fresh: Annotated[
        str | None,
        typer.Option("--fresh", metavar="DURATION", help="How old a last reading may be."),
    ] = None,
    tokenize: Annotated[
        Names,
        typer.Option(
            "--tokenize", metavar="FIELD", help="A field that identifies people; repeatable."
        ),
    ] = None,
    people: Annotated[
        Names,
        typer.Option("--people", metavar="NAME", help="Devices called after people, e.g. crew-*."),
    ] = None,
    to: Annotated[
        Names,
        typer.Option("--to", metavar="SUBJECT", help="Give it to device:NAME, key:KID, role:…"),
    ] = None,
    take: Annotated[
        Names, typer.Option("--from", metavar="SUBJECT", help="Take it from somebody.")
    ] = None,
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="How long it is given; default: open."),
    ] = None,
    data: Data = None,
    dry_run: DryRun = False,
) -> int:
    """Define or change a scope, give it to somebody, or take it away.

    What is not said stays as it is. Each change raises the version of the policies, and is
    signed and entered in the transparency log.
    """
    from dunes.authority.policy import Scope
    from dunes.authority.store import read_local
    from dunes.clock import SYSTEM_CLOCK, US_PER_S
    from dunes.errors import NotFound
    from sakina.policies import (
        change,
        check_actions,
        find_scope,
        place,
        with_grant,
        with_scope,
        without_grant,
    )

    check_actions(action)
    paths = place(data)
    before, _ = read_local(paths)
    given = {
        "actions": action, "tables": table, "devices": device, "destinations": destination,
        "tokenize": tokenize, "people": people, "about": about, "min_standing": min_standing,
        "assurance": assurance, "fresh_s": None if fresh is None else duration_s(fresh),
    }  # fmt: skip
    wanted = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in given.items()
        if value is not None
    }
    after, said = before, []
    old = find_scope(before, name)
    if wanted:
        if old is None and not action:
            raise UsageError(
                f"the new scope {name} needs at least one action", hint="--action table.read"
            )
        after = with_scope(after, changed(old or Scope(name), wanted))
        said.append(f"scope {name} {'changed' if old else 'added'}")
    elif old is None:
        raise NotFound(f"no scope {name[:60]!r}", hint="--action table.read makes one")
    until_us = None
    if for_ is not None:
        until_us = SYSTEM_CLOCK.unix_us() + round(duration_s(for_) * US_PER_S)
    for subject in to or ():
        after = with_grant(after, subject, name, until_us)
        said.append(f"{name} given to {subject}")
    for subject in take or ():
        after = without_grant(after, subject, name)
        said.append(f"{name} taken from {subject}")
    if not said:
        raise UsageError("nothing is to be changed", hint="--table NAME, --to SUBJECT, …")
    screen.show(change(paths, after.next(), said, dry_run=dry_run), change_lines)
    return Exit.OK


def changed(scope: "Scope", wanted: Mapping[str, Any]) -> "Scope":
    """Give a scope with other values."""
    from dataclasses import replace

    return replace(scope, **wanted)


def change_lines(report: "PolicyReport") -> Iterator[str]:
    """Tell what was changed."""
    for sentence in report.changed:
        yield printable(sentence, 300)
    if report.dry_run:
        yield f"nothing was written: --dry-run; it would be version {report.version}"
    else:
        yield f"policies are at version {report.version}; entry {report.log_index} of the log"


def lines(report: "PolicyReport") -> Iterator[str]:
    """Write the policies for people."""
    yield from table_lines(
        ["SCOPE", "ACTIONS", "TABLES", "DEVICES", "STANDING", "PROOF", "FROM"],
        [
            [s.name, _few(s.actions), _few(s.tables), _few(s.devices), f"{s.min_standing:g}",
             s.assurance, s.origin]
            for s in report.scopes
        ],
    )  # fmt: skip
    yield ""
    yield from table_lines(
        ["GRANTED TO", "SCOPES", "UNTIL", "FROM"],
        [[g.subject, ", ".join(g.scopes), g.until or "-", g.origin] for g in report.grants],
    )
    yield ""
    yield from table_lines(
        ["RULE", "SAYS", "SUBJECT", "ACTIONS", "TABLES", "DEVICES", "TO", "UNTIL", "REASON"],
        [
            [r.id, r.effect, r.subject, _few(r.actions), _few(r.tables), _few(r.devices),
             _few(r.destinations), r.until or "-", printable(r.reason, 60)]
            for r in report.rules
        ],
    )  # fmt: skip
    signed = {None: "none", True: "signed", False: "changed by hand since it was signed"}
    yield ""
    yield f"local policies: version {report.version}, {signed[report.signed]} ({report.file})"


def _few(names: tuple[str, ...]) -> str:
    return ",".join(names)
