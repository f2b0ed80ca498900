"""The command table of `sakina`: names, their help, and where each lives. No logic."""

from dunes.console import Entry, lazy_app, run

ABOUT = "Say who may do what: OAuth 2.0 logins, identities of devices, trust."

COMMANDS: dict[str, Entry] = {}

app = lazy_app("sakina", ABOUT, COMMANDS)


def main() -> int:
    """Run `sakina`."""
    return run(app, "sakina")
