"""The `arachnid` command."""

from dunes.console.unbuilt import not_yet

PURPOSE = "route readings and commands by priority over whatever link is up"


def main() -> int:
    """Run `arachnid`."""
    return not_yet("arachnid", PURPOSE)
