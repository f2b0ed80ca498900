"""`dunes apply-config`: the guide's config.maml into the gateway's settings."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunes.commands.markup_keys import read_file
from dunes.console import Screen, command
from dunes.console.screen import printable, table_lines
from dunes.errors import ConfigError, Exit

if TYPE_CHECKING:
    from dunes.maml.document import Document
    from dunes.settings import Settings


@dataclass(frozen=True, slots=True)
class AppliedRow:
    """One value of the document.

    Attributes:
        key: as in the document.
        written: the text as written.
        line: where it stands, from 1.
        setting: the setting that it becomes; empty if it sets nothing.
        value: in SI units where it is a quantity.
        state: set, unchanged, outranked (a flag, variable or file of yours stands above
            the profile), checked (nothing to set) or unknown.
    """

    key: str
    written: str
    line: int
    setting: str
    value: Any
    state: str


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What a configuration document changed.

    Attributes:
        file: the document.
        profile: the file that was written.
        written: false with --dry-run, and if nothing was to be changed.
        dry_run: nothing was to be written.
        rows: every value of the document.
    """

    file: str
    profile: str
    written: bool
    dry_run: bool
    rows: tuple[AppliedRow, ...]


@command(schema="dunes.apply-config/1", report="dunes.commands.apply_config:ApplyReport")
def apply_config(
    screen: Screen,
    file: Annotated[
        Path, typer.Option("--file", metavar="FILE", help="The config.maml; '-' is stdin.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, change nothing.")
    ] = False,
) -> int:
    """Put the values of a config.maml into this gateway's settings."""
    from dunes.authority.gate import authorise
    from dunes.authority.model import Action, Resource
    from dunes.settings import load, profile_path, write_profile

    settings = load()
    document = _read(screen, file)
    rows = _rows(document, settings)
    changes = {row.setting: value for row, value in rows if row.state == "set"}
    if changes and not dry_run:
        resource = Resource(name=" ".join(sorted(changes))[:200])
        authorise(settings.paths, Action.CONFIG_APPLY, resource)
        hidden = set(write_profile(settings, changes))
        rows = [
            (replace(row, state="outranked") if row.setting in hidden else row, value)
            for row, value in rows
        ]
    report = ApplyReport(
        str(file),
        str(profile_path(settings.paths)),
        bool(changes) and not dry_run,
        dry_run,
        tuple(row for row, _ in rows),
    )
    screen.show(report, lines)
    return Exit.OK


def _read(screen: Screen, file: Path) -> "Document":
    """Read and check the document; tell its warnings.

    Raises:
        ConfigError: not a config document, or one with errors (all are in the message).
    """
    from dunes.maml import MamlError, parse, validate

    try:
        document = parse(read_file(file))
    except MamlError as e:
        raise ConfigError(f"{file}: {e.message}", hint=e.hint, code=e.code) from e
    found = validate(document, profile="guide")
    if found.errors:
        shown = "; ".join(f"{f.line}:{f.column}: {f.message}" for f in found.errors[:10])
        raise ConfigError(
            f"{file}: {shown}",
            hint=f"dunes maml validate --profile guide {file}; "
            "dunes maml new --profile guide config.maml writes one to start from",
            code=found.errors[0].code,
        )
    for warning in found.warnings:
        screen.warn(f"{file}:{warning.line}:{warning.column}: {warning.message}")
    return document


def _rows(document: "Document", settings: "Settings") -> list[tuple[AppliedRow, Any]]:
    """Give each value with what the profile is to hold."""
    from dunes.maml.guide import read_settings, read_unknown
    from dunes.settings import check_value

    rows = []
    for found in read_settings(document):
        value, state = found.value, "checked"
        if found.setting:
            value = check_value(found.setting, found.value)
            state = "unchanged" if settings[found.setting] == value else "set"
        row = AppliedRow(found.key, found.written, found.line, found.setting, value, state)
        rows.append((row, found.value))
    rows += [
        (AppliedRow(key, written, line, "", None, "unknown"), None)
        for key, written, line in read_unknown(document)
    ]
    return sorted(rows, key=lambda each: each[0].line)


def lines(report: ApplyReport) -> Iterator[str]:
    """Write the report for people."""
    yield from table_lines(
        ["KEY", "VALUE", "SETTING", "STATE"],
        [
            [printable(r.key, 60), printable(r.written, 60), r.setting or "-", r.state]
            for r in report.rows
        ],
    )
    if report.written:
        yield f"profile: {report.profile}"
    elif report.dry_run:
        yield "nothing was written: --dry-run"
    else:
        yield "nothing to change"
