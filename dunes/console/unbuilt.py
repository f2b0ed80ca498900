"""A tool that has no command yet, and says so."""

import sys

from dunes import __version__
from dunes.errors import Exit


def not_yet(prog: str, purpose: str, argv: list[str] | None = None) -> int:
    """Say what the tool will be, and give EX_UNAVAILABLE.

    `--version` works all the same, so that an installation can be checked.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if arguments == ["--version"]:
        print(f"{prog} {__version__}")
        return Exit.OK
    print(
        f"{prog}: has no command yet in dunes-mcp {__version__}; it will {purpose}",
        file=sys.stderr,
    )
    print("hint: dunes --help lists what works today", file=sys.stderr)
    return Exit.UNAVAILABLE
