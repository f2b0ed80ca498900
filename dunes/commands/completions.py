"""`dunes completions`: what makes TAB work, for one shell."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from dunes.console import Screen, command
from dunes.errors import Exit
from dunes.paths import write_atomic

Shell = Literal["bash", "zsh", "fish"]


@dataclass(frozen=True, slots=True)
class CompletionsReport:
    """What was written, or the script itself.

    Attributes:
        shell: which shell.
        installed: the files written; empty without `--install`.
        script: the script; empty with `--install`.
        note: what is left to do by hand, or empty.
    """

    shell: str
    installed: tuple[str, ...]
    script: str
    note: str


def scripts(shell: Shell) -> dict[str, str]:
    """Write the completions of every program that has commands, by file name."""
    from dunes.console.complete_bash import bash_completion
    from dunes.console.complete_fish import fish_completion
    from dunes.console.complete_zsh import zsh_completion
    from dunes.console.tree import programs

    writer, name = {
        "bash": (bash_completion, "{}"),
        "zsh": (zsh_completion, "_{}"),
        "fish": (fish_completion, "{}.fish"),
    }[shell]
    return {name.format(prog): writer(root) for prog, root in programs().items()}


def folder(shell: Shell, environ: Mapping[str, str]) -> Path:
    """Say where a shell looks for a user's completions."""
    home = Path(environ.get("HOME") or "~").expanduser()
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return {
        "bash": data / "bash-completion/completions",
        "zsh": data / "zsh/site-functions",
        "fish": config / "fish/completions",
    }[shell]


def lines(report: CompletionsReport) -> list[str]:
    """Write the report for people (or for a shell to source)."""
    if not report.installed:
        return [report.script.rstrip("\n")]
    return [*(f"wrote {path}" for path in report.installed), *filter(None, [report.note])]


@command(schema="dunes.completions/1", report="dunes.commands.completions:CompletionsReport")
def completions(
    screen: Screen,
    shell: Annotated[Shell, typer.Argument(help="For which shell.", show_default=False)],
    install: Annotated[
        bool, typer.Option("--install", help="Write them where the shell looks for yours.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --install: name the files, write nothing.")
    ] = False,
) -> int:
    """Print the shell's completions for every tool, or install them."""
    made = scripts(shell)
    if not install:
        screen.show(CompletionsReport(shell, (), "\n".join(made.values()), ""), lines)
        return Exit.OK
    where = folder(shell, os.environ)
    if not dry_run:
        for name, text in made.items():
            write_atomic(where / name, text.encode(), mode=0o644)
    note = ""
    if shell == "zsh":
        note = f"before compinit in ~/.zshrc: fpath=({where} $fpath)"
    elif shell == "bash":
        note = "a new shell has them, if the package bash-completion is installed"
    if dry_run:
        note = "nothing was written (--dry-run)"
    files = tuple(str(where / name) for name in made)
    screen.show(CompletionsReport(shell, files, "", note), lines)
    return Exit.OK
