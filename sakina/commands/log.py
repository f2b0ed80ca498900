"""`sakina log`: what was decided, line by line, and whether the record is whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable, table_lines
from dunes.errors import Exit, NotFound

if TYPE_CHECKING:
    from dunes.authority.auditread import AuditReport


@command(schema="sakina.log/1", report="dunes.authority.auditread:AuditReport")
def log(
    screen: Screen,
    table: Annotated[
        str, typer.Option("--table", metavar="NAME", help="Which record; auth_audit is there.")
    ] = "auth_audit",
    last: Annotated[
        int, typer.Option("--last", metavar="COUNT", min=0, help="How many lines.")
    ] = 20,
    denied: Annotated[bool, typer.Option("--denied", help="Only what was refused.")] = False,
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign the record as it stands with this place's key.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help="At the ground station that has its data there."
        ),
    ] = None,
) -> int:
    """Show what was decided, and check that no line is missing or was changed.

    Exit 1 if the record is not whole. `dunes ingest --table auth_audit FILE` takes it into
    the buffer, from where it is delivered like any table.
    """
    from dunes.authority.audit import TABLE, AuditTrail, seal, segments
    from dunes.authority.auditread import read_audit
    from dunes.crypto.identity import load_identity, public_documents
    from dunes.model import table_name
    from sakina.policies import place

    if table_name(table) != TABLE:
        raise NotFound(f"no record {table[:60]!r}", hint=f"--table {TABLE}", code="unknown-table")
    paths = place(data)
    folder = AuditTrail.at(paths).folder
    if not segments(folder):
        raise NotFound(
            f"nothing was decided here yet ({folder})", hint="mcp sync", code="no-record"
        )
    if sign:
        seal(folder, load_identity(paths).signing)
    find = {document.kid: document.verify_key for document in public_documents(paths)}.get

    def wanted(row: dict[str, Any]) -> bool:
        return not denied or row.get("value") == "deny"

    report = read_audit(folder, find, last=last, wanted=wanted)
    screen.show(report, lines)
    return Exit.OK if report.intact else Exit.NO


def lines(report: "AuditReport") -> Iterator[str]:
    """Write the record for people."""
    if report.rows:
        yield from table_lines(
            ["NO", "TIME", "SAID", "SUBJECT", "ACTION", "ON", "TIMES", "REASON"],
            [_cells(row) for row in report.rows],
        )
    kept = f"lines {report.first_no} to {report.last_no}"
    sealed = f"signed up to {report.sealed_no}" if report.sealed_no else "not signed yet"
    yield f"{'intact' if report.intact else 'NOT INTACT'}: {kept}, {sealed} ({report.folder})"
    for sentence in report.wrong:
        yield f"  {printable(sentence)}"


def _cells(row: dict[str, Any]) -> list[str]:
    on = [str(row[k]) for k in ("table", "on_device", "destination", "name") if k in row]
    return [
        str(row["no"]),
        printable(str(row.get("time", "-")), 30)[:19],
        printable(str(row.get("value", "-")), 10),
        printable(str(row.get("subject", "-")), 40),
        printable(str(row.get("kind", "-")), 30),
        printable(" ".join(on) or "-", 50),
        str(row.get("count", 1)),
        printable(str(row.get("reason", "")), 80),
    ]
