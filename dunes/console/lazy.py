"""A Typer group that imports a command when it runs, not when help lists it."""

import importlib
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from dunes import __version__

HELP_NAMES = {"help_option_names": ["-h", "--help"]}


class Entry(NamedTuple):
    """Where a command lives, and its line in the help."""

    target: str
    """`package.module:attribute`, a function or a `typer.Typer`."""
    help: str
    """The target's first docstring line (a test compares)."""
    hidden: bool = False


class LazyCommand(TyperCommand):
    """A name and a help line; the real command is built in `make_context`."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(
            name,
            callback=None,
            params=[],
            help=entry.help,
            short_help=entry.help,  # else typer cuts it short instead of wrapping it
            hidden=entry.hidden,
            rich_markup_mode=None,
        )
        self.entry = entry

    def resolve(self) -> Any:
        """Import and build the command that this name stands for."""
        module, _, attribute = self.entry.target.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(add_completion=False, rich_markup_mode=None)
            single.command(self.name, context_settings=HELP_NAMES)(found)
            found = single
        real = typer.main.get_command(found)
        real.name = self.name
        return real

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Build the real command and let it read its arguments."""
        return self.resolve().make_context(*args, **extra)


def lazy_group(table: Mapping[str, Entry]) -> type[TyperGroup]:
    """Make a group class whose commands are the rows of `table`, in that order."""

    class LazyGroup(TyperGroup):
        def __init__(self, **attrs: Any) -> None:
            super().__init__(**attrs)
            for name, entry in table.items():
                self.add_command(LazyCommand(name, entry))

    return LazyGroup


def lazy_app(
    prog: str, about: str, table: Mapping[str, Entry], *, top: bool = True
) -> typer.Typer:
    """Make a tool (or a group of commands within one) from its table.

    Args:
        prog: the name it answers to in `--version`.
        about: one paragraph of help.
        table: its commands.
        top: a program of its own, with `--version`; a group inside another has none.
    """
    app = typer.Typer(
        cls=lazy_group(table),
        name=prog,
        help=about,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP_NAMES,
    )

    def show_version(context: typer.Context, wanted: bool) -> None:
        if wanted:
            typer.echo(f"{context.command_path} {__version__}")
            raise typer.Exit

    if top:

        @app.callback()
        def root(
            _version: Annotated[
                bool,
                typer.Option(
                    "--version", callback=show_version, is_eager=True, help="Print the version."
                ),
            ] = False,
        ) -> None: ...

        root.__doc__ = about
    else:

        @app.callback()
        def group() -> None: ...

        group.__doc__ = about
    return app
