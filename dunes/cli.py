"""The command table of `dunes`: names, their help, and where each lives. No logic."""

from dunes.console import Entry, lazy_app, run

ABOUT = "Keep a field gateway talking when its satellite link does not."

COMMANDS: dict[str, Entry] = {}

app = lazy_app("dunes", ABOUT, COMMANDS)


def main() -> int:
    """Run `dunes`."""
    return run(app, "dunes")
