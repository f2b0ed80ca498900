"""`sakina restrict`: a no that outranks every yes, until it is lifted."""

from typing import Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, UsageError
from dunes.units import duration_s
from sakina.commands.scopes import Data, DryRun, Names, change_lines


@command(schema="sakina.scopes/1", report="sakina.policies:PolicyReport")
def restrict(
    screen: Screen,
    subject: Annotated[
        str | None,
        typer.Option(
            "--subject", metavar="SUBJECT", help="Who, e.g. gateway:mars-001 or local:*; any."
        ),
    ] = None,
    action: Annotated[
        Names,
        typer.Option("--action", metavar="ACTION", help="What, e.g. sync.push; repeatable; any."),
    ] = None,
    table: Annotated[
        Names, typer.Option("--table", metavar="NAME", help="On which tables; repeatable; any.")
    ] = None,
    device: Annotated[
        Names,
        typer.Option("--device", metavar="NAME", help="On which devices; repeatable; any."),
    ] = None,
    destination: Annotated[
        Names,
        typer.Option("--destination", metavar="NAME", help="To which ground stations; any."),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; whoever is refused reads it.")
    ] = "",
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="How long; default: until it is lifted."),
    ] = None,
    lift: Annotated[
        Names, typer.Option("--lift", metavar="ID", help="Lift a rule; repeatable.")
    ] = None,
    data: Data = None,
    dry_run: DryRun = False,
) -> int:
    """Forbid something, whoever would be allowed to otherwise; or lift such a rule.

    A rule is about what it names: with `--table vitals_data --destination mars-gs` that
    table to that station, by any action and anybody.
    """
    from dunes.authority.policy import Rule
    from dunes.authority.store import read_local
    from dunes.clock import SYSTEM_CLOCK, US_PER_S
    from sakina.policies import change, check_actions, new_rule_id, patterns, place, without_rule

    check_actions(action)
    paths = place(data)
    before, _ = read_local(paths)
    after, said = before, []
    for rule_id in lift or ():
        after = without_rule(after, rule_id)
        said.append(f"rule {rule_id} lifted")
    if any((subject, action, table, device, destination)):
        until_us = None
        if for_ is not None:
            until_us = SYSTEM_CLOCK.unix_us() + round(duration_s(for_) * US_PER_S)
        rule = Rule(
            new_rule_id(after), "deny", subject or "*", patterns(action), patterns(table),
            patterns(device), patterns(destination), reason, until_us,
        )  # fmt: skip
        from dataclasses import replace

        after = replace(after, rules=(*after.rules, rule))
        said.append(f"rule {rule.id} added")
    if not said:
        raise UsageError(
            "say what is forbidden, or which rule is lifted",
            hint="--action sync.push --table vitals_data, or --lift r1",
        )
    screen.show(change(paths, after.next(), said, dry_run=dry_run), change_lines)
    return Exit.OK
