"""`torgo init` and `torgo env-set`: what this folder's plans are for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from dunes.console import Screen, command
from dunes.errors import UsageError
from torgo.commands import files


@dataclass(frozen=True, slots=True)
class Project:
    """The project file.

    Attributes:
        file: its name.
        changed: whether it was written.
        mesh_id: of the mesh.
        environment: of the site, or empty.
        base_nodes: default of --nodes, or 0 for the environment's.
        obstacles: static or dynamic.
        margin_db: kept in hand, or -1 for the environment's.
        notes: what else there is to know.
    """

    file: str
    changed: bool
    mesh_id: str = ""
    environment: str = ""
    base_nodes: int = 0
    obstacles: str = "static"
    margin_db: float = -1.0
    notes: list[str] = field(default_factory=list)


def report_of(table: dict[str, Any], *, changed: bool, notes: list[str]) -> Project:
    """Make the report of a project file."""
    return Project(
        str(files.PROJECT),
        changed,
        table.get("mesh_id", ""),
        table.get("environment", ""),
        table.get("base_nodes", 0),
        table.get("obstacles", "static"),
        table.get("margin_db", -1.0),
        notes,
    )


def lines(project: Project) -> Iterator[str]:
    """Write what the project file says."""
    yield f"{project.file}: {'written' if project.changed else 'unchanged'}"
    yield f"  mesh         {project.mesh_id or '(none)'}"
    yield f"  environment  {project.environment or '(lunar-hab)'}"
    yield f"  nodes        {project.base_nodes or '(by the environment)'}"
    yield f"  obstacles    {project.obstacles}"
    if project.margin_db >= 0:
        yield f"  margin       {project.margin_db:g} dB"
    yield from project.notes


@command(schema="torgo.init/1", report="torgo.commands.init:Project")
def init(
    screen: Screen,
    mesh_id: Annotated[
        str, typer.Option("--mesh-id", metavar="NAME", help="The mesh that plans are for.")
    ],
    base_nodes: Annotated[
        int | None,
        typer.Option("--base-nodes", metavar="N", help="Default of --nodes in this folder."),
    ] = None,
    env: Annotated[
        str | None, typer.Option("--env", metavar="NAME", help="Default of --env in this folder.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the file of another mesh.")
    ] = False,
) -> int | None:
    """Write torgo.toml: which mesh this folder's plans are for."""
    from dunes.errors import DataError
    from dunes.model import check_name
    from torgo.environment import MOST_NODES

    check_name(mesh_id, "mesh")
    if base_nodes is not None and not 2 <= base_nodes <= MOST_NODES:  # noqa: PLR2004 - a mesh
        raise UsageError(f"--base-nodes {base_nodes}: a mesh has 2 to {MOST_NODES:,} nodes")
    if env is not None:
        files.load_environment(env)
    try:
        old = files.read_project()
    except DataError:
        if not force:
            raise
        old = {}
    if old and old.get("mesh_id") != mesh_id and not force:
        raise UsageError(
            f"{files.PROJECT} is for {old.get('mesh_id')!r}", hint="--force overwrites it"
        )
    table: dict[str, Any] = {"schema": files.PROJECT_SCHEMA} | old | {"mesh_id": mesh_id}
    if base_nodes is not None:
        table["base_nodes"] = base_nodes
    if env is not None:
        table["environment"] = env
    if table != old:
        files.write_project(table)
    screen.show(report_of(table, changed=table != old, notes=[]), lines)
    return None


@command(schema="torgo.env-set/1", report="torgo.commands.init:Project")
def env_set(
    screen: Screen,
    type_: Annotated[
        str | None, typer.Option("--type", metavar="NAME", help="Environment of this folder.")
    ] = None,
    obstacles: Annotated[
        str | None,
        typer.Option("--obstacles", metavar="static|dynamic", help="Default of --obstacles."),
    ] = None,
    signal_threshold: Annotated[
        str | None,
        typer.Option(
            "--signal-threshold",
            metavar="POWER",
            help="Weakest signal to plan on, e.g. -85dBm; 10dBm: 10 dB above sensitivity.",
        ),
    ] = None,
) -> int | None:
    """Set the environment of this folder's plans in torgo.toml."""
    from torgo.quantities import threshold_dbm

    old = files.read_project()
    table: dict[str, Any] = {"schema": files.PROJECT_SCHEMA} | old
    notes = []
    if type_ is not None:
        files.load_environment(type_)
        table["environment"] = type_
    if obstacles is not None:
        if obstacles not in {"static", "dynamic"}:
            raise UsageError(f"--obstacles {obstacles[:40]!r}: choose static or dynamic")
        table["obstacles"] = obstacles
    if signal_threshold is not None:
        env = files.load_environment(str(table.get("environment") or "lunar-hab"))
        level = threshold_dbm(signal_threshold)
        margin = level - env.radio.sensitivity_dbm if level <= 0 else level
        if margin < 0:
            raise UsageError(
                f"--signal-threshold {signal_threshold} is below the radio's sensitivity "
                f"of {env.radio.sensitivity_dbm:g} dBm"
            )
        table["margin_db"] = margin
        notes.append(
            f"links are planned on from {env.radio.sensitivity_dbm + margin:g} dBm on, "
            f"{margin:g} dB above sensitivity"
        )
    if table != old:
        files.write_project(table)
    screen.show(report_of(table, changed=table != old, notes=notes), lines)
    return None
