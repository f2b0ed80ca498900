"""`python -m dunes`: the `dunes` command, whatever owns that name on PATH."""

import sys

from dunes.cli import main

if __name__ == "__main__":
    sys.exit(main())
