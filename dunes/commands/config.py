"""`dunes config`: every setting, where its value came from, and how to change it."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from dunes.console import Screen, command
from dunes.console.lazy import HELP_NAMES
from dunes.console.screen import printable, table_lines
from dunes.errors import ConfigError, Exit, UsageError
from dunes.settings import (
    DURATION,
    SETTINGS,
    SIZE,
    TABLE,
    Settings,
    check_value,
    load,
    write_profile,
)
from dunes.units import show_duration, show_size

Key = Annotated[str, typer.Argument(metavar="KEY", help="Name of the setting.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, change nothing.")]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting.

    Attributes:
        key: its name.
        value: in SI units where it is a quantity (seconds, bytes).
        origin: the file, variable or `default` that the value comes from.
        help: what it is.
    """

    key: str
    value: Any
    origin: str
    help: str


@dataclass(frozen=True, slots=True)
class ConfigReport:
    """All settings, or one."""

    settings: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """What `config set` or `unset` did.

    Attributes:
        key: the setting.
        value: what holds now (with `--dry-run`: what would hold).
        origin: where that value comes from.
        changed: the profile was written.
    """

    key: str
    value: Any
    origin: str
    changed: bool


def row(settings: Settings, key: str) -> Row:
    """Give one setting with its origin.

    Raises:
        ConfigError: there is no such setting.
    """
    if key not in SETTINGS:
        raise unknown(key)
    return Row(key, settings[key], settings.origin(key), SETTINGS[key].help)


def unknown(key: str) -> ConfigError:
    """Make the error for a key that does not exist."""
    from difflib import get_close_matches

    near = get_close_matches(key, SETTINGS, n=1)
    hint = f"did you mean {near[0]}?" if near else "dunes config lists all settings"
    return ConfigError(f"no setting {key[:80]!r}", hint=hint, code="unknown-setting")


def text_of(key: str, value: Any) -> str:
    """Write a value as a person would."""
    kind = SETTINGS[key].kind
    if kind is DURATION:
        return show_duration(value)
    if kind is SIZE:
        return show_size(value)
    if kind is TABLE:
        return ", ".join(value) or "-"
    return printable(str(value)) or "-"


def table(report: ConfigReport) -> list[str]:
    """Write all settings with their origins."""
    rows = [[r.key, text_of(r.key, r.value), r.origin] for r in report.settings]
    return list(table_lines(["SETTING", "VALUE", "FROM"], rows))


def plain(report: ConfigReport) -> list[str]:
    """Write all settings, `key = value`."""
    return [f"{r.key} = {text_of(r.key, r.value)}" for r in report.settings]


def change_lines(report: ChangeReport) -> list[str]:
    """Write what a change did."""
    return [f"{report.key} = {text_of(report.key, report.value)}  ({report.origin})"]


config = typer.Typer(
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings=HELP_NAMES,
)


@config.callback()
@command(schema="dunes.config/1", report="dunes.commands.config:ConfigReport")
def show(
    screen: Screen,
    context: typer.Context,
    show_origin: Annotated[
        bool, typer.Option("--show-origin", help="Say where each value comes from.")
    ] = False,
) -> int | None:
    """Show every setting, and change those that the profile keeps."""
    if context.invoked_subcommand is not None:
        return None
    settings = load()
    report = ConfigReport(tuple(row(settings, key) for key in SETTINGS))
    screen.show(report, table if show_origin else plain)
    return Exit.OK


@config.command("get")
@command(schema="dunes.config/1", report="dunes.commands.config:ConfigReport")
def get(screen: Screen, key: Key) -> int:
    """Print the value of one setting."""
    report = ConfigReport((row(load(), key),))
    screen.show(report, lambda r: [text_of(key, r.settings[0].value)])
    return Exit.OK


@config.command("set")
@command(schema="dunes.config-set/1", report="dunes.commands.config:ChangeReport")
def set_(
    screen: Screen,
    key: Key,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="New value, with its unit if it is a quantity.")
    ],
    dry_run: DryRun = False,
) -> int:
    """Write one setting into the profile."""
    return change(screen, key, value, dry_run=dry_run)


@config.command("unset")
@command(schema="dunes.config-set/1", report="dunes.commands.config:ChangeReport")
def unset(screen: Screen, key: Key, dry_run: DryRun = False) -> int:
    """Take one setting out of the profile."""
    return change(screen, key, None, dry_run=dry_run)


def change(screen: Screen, key: str, value: str | None, *, dry_run: bool) -> int:
    """Write or remove a setting of the profile, and tell what holds now.

    Raises:
        ConfigError: no such setting, or no such value of it.
        UsageError: the setting is a table.
    """
    settings = load()
    row(settings, key)
    if SETTINGS[key].kind is TABLE:
        raise UsageError(
            f"{key} is a table, not one value",
            hint=f"write it into {settings.paths.config / 'config.toml'}"
            " or let mcp init and dunes init-starlink do it",
        )
    if dry_run:
        kept = SETTINGS[key].default if value is None else value
        report = ChangeReport(key, check_value(key, kept), "not written: --dry-run", changed=False)
    else:
        hidden = write_profile(settings, {key: value})
        now = load()
        if hidden:
            screen.warn(f"{now.origin(key)} outranks the profile")
        report = ChangeReport(key, now[key], now.origin(key), changed=True)
    screen.show(report, change_lines)
    return Exit.OK
