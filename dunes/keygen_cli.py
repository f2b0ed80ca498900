"""The `qiskit` script: the guide's `qiskit dunes-keygen` and `qiskit dunes-verify`.

IBM's qiskit is a Python library and installs no script of that name, so nothing is hidden
by this one. It does not import it either, but for `--entropy qiskit`.
"""

import sys

from dunes.console import Entry, lazy_app, run
from dunes.errors import Exit

ABOUT = "Make and check the keys of dunes-mcp. This is not IBM's qiskit, which has no script."

COMMANDS: dict[str, Entry] = {
    "dunes-keygen": Entry(
        "dunes.commands.keygen:keygen",
        "Make a post-quantum key: a document to keep and one to give to others.",
    ),
    "dunes-verify": Entry(
        "dunes.commands.keys_verify:dunes_verify",
        "Check a key document: its signature, its file, and whether it opens here.",
    ),
}

app = lazy_app("qiskit", ABOUT, COMMANDS)


def main(argv: list[str] | None = None) -> int:
    """Run `qiskit`, and say plainly what it is not."""
    arguments = sys.argv[1:] if argv is None else argv
    first = next((word for word in arguments if not word.startswith("-")), "")
    if first and first not in COMMANDS:
        print(  # noqa: T201 - before any command there is no screen
            f"qiskit: no command {first[:60]!r}. This script belongs to dunes-mcp and knows "
            f"{' and '.join(COMMANDS)}.\n"
            "IBM's Qiskit is a Python library without a script of this name: "
            "python -c 'import qiskit'\n"
            "hint: qiskit dunes-keygen --help",
            file=sys.stderr,
        )
        return Exit.USAGE
    return run(app, "qiskit", arguments)
