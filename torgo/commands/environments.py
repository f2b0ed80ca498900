"""`torgo environments`: the sites that torgo knows, and where their constants come from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from dunes.console import Screen, command
from torgo.commands import files


@dataclass(frozen=True, slots=True)
class Known:
    """An environment.

    Attributes:
        name: for --env.
        about: a sentence.
        nodes: default.
        gateways: default.
        redundancy: default.
        range_m: default.
        file: its TOML, if one was asked for.
        sources: where its constants come from, if one was asked for.
    """

    name: str
    about: str
    nodes: int
    gateways: int
    redundancy: int
    range_m: float
    file: str = ""
    sources: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Environments:
    """The environments.

    Attributes:
        environments: all, or the one that was asked for.
    """

    environments: list[Known]


@command(schema="torgo.environments/1", report="torgo.commands.environments:Environments")
def environments(
    screen: Screen,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show one as its file, to copy and change."),
    ] = None,
) -> None:
    """List the environments, or show one as a file to copy and change."""
    names = [name] if name is not None else files.environment_names()
    screen.show(Environments([describe(each, whole=name is not None) for each in names]), lines)


def describe(name: str, *, whole: bool) -> Known:
    """Describe an environment."""
    env = files.load_environment(name)
    return Known(
        env.name,
        env.about,
        env.defaults.nodes,
        env.gateways.count,
        env.defaults.redundancy,
        env.area.radius_m,
        files.environment_text(name) if whole else "",
        env.sources if whole else None,
    )


def lines(report: Environments) -> Iterator[str]:
    """Write a line for each, or the one file."""
    for env in report.environments:
        if env.file:
            yield env.file.rstrip("\n")
        else:
            yield (
                f"{env.name:<16} {env.nodes:>4} nodes, {env.gateways} gateways, redundancy "
                f"{env.redundancy}, {env.range_m:g} m: {env.about}"
            )
