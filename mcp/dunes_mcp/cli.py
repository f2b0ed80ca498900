"""The command table of `mcp`: names, their help, and where each lives. No logic."""

import sys
from pathlib import Path

from dunes.console import Entry, lazy_app, run

ABOUT = "Connect a gateway to its ground station, and bring its readings there once each."

COMMANDS: dict[str, Entry] = {
    "init": Entry(
        "dunes_mcp.commands.init:init",
        "Give this gateway its identity, its profile and its ground station.",
    ),
    "sync": Entry(
        "dunes_mcp.commands.sync:sync",
        "Bring what is buffered to the ground station: each reading once, alerts first.",
    ),
    "ground-station": Entry(
        "dunes_mcp.commands.ground_station:app",
        "Run a ground station: receive, verify and keep the readings of enrolled gateways.",
    ),
}

app = lazy_app("mcp", ABOUT, COMMANDS)


def main() -> int:
    """Run `mcp`, or `dunes-mcp` where `mcp` is somebody else's."""
    return run(app, "dunes-mcp" if Path(sys.argv[0]).name == "dunes-mcp" else "mcp")
