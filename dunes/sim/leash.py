"""Run a program of the house that ends with whoever started it.

`python -m dunes.sim.leash PARENT PROGRAM ARGUMENT…`: the kernel sends SIGTERM when the
process PARENT ends, however that happens, so that a killed rehearsal leaves nothing behind.
"""

import ctypes
import importlib
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2)."""

MODULES = {
    "dunes": "dunes.cli",
    "mcp": "dunes_mcp.cli",
    "dunes-mcp": "dunes_mcp.cli",
    "torgo": "torgo.cli",
    "arachnid": "arachnid.cli",
    "sakina": "sakina.cli",
    "qiskit": "dunes.keygen_cli",
    "air": "dunes.sim.air.process",
}
"""Where each program's `main` is."""


def main() -> int:
    """Tie this process to its parent, then be the program."""
    parent, program, *rest = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        return 128 + signal.SIGTERM  # it ended before the kernel knew
    sys.argv = [program, *rest]
    return int(importlib.import_module(MODULES[program]).main())


if __name__ == "__main__":
    sys.exit(main())
