"""The `sakina` command."""

from dunes.console.unbuilt import not_yet

PURPOSE = "decide who may do what: OAuth 2.0 logins, device identities, trust"


def main() -> int:
    """Run `sakina`."""
    return not_yet("sakina", PURPOSE)
