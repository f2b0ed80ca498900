"""What all the tools share at the terminal."""

from dunes.console.command import command
from dunes.console.lazy import Entry, lazy_app
from dunes.console.run import run
from dunes.console.screen import Screen

__all__ = ["Entry", "Screen", "command", "lazy_app", "run"]
