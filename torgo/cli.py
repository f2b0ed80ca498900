"""The `torgo` command."""

from dunes.console.unbuilt import not_yet

PURPOSE = "design mesh topologies that survive node loss and prove it by simulation"


def main() -> int:
    """Run `torgo`."""
    return not_yet("torgo", PURPOSE)
