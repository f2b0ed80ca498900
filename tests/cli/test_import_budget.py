"""What a help page, a typo and a wrong option may import. Modules, as clocks wobble."""

import subprocess
import sys

import pytest

from dunes.console.tree import programs

HEAVY = frozenset(
    {
        "aiohttp", "alembic", "anyio", "apsw", "asyncio", "bleak", "cryptography", "dbus_fast",
        "google", "grpc", "h11", "httpcore", "httpx", "msgspec", "networkx", "numpy", "oqs",
        "psycopg", "pydantic", "pygments", "rich", "sqlalchemy", "uvicorn", "yaml", "zstandard",
    }
)  # fmt: skip

PROBE = """
import contextlib, importlib, json, os, sys
target, prog, cases = json.loads(sys.argv[1])
module, _, attribute = target.partition(":")
app = getattr(importlib.import_module(module), attribute)
from dunes.console import run
rows = []
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), \\
        contextlib.redirect_stderr(nowhere):
    for argv in cases:
        status = run(app, prog, argv)
        rows.append([argv, int(status), sorted(sys.modules)])
print(json.dumps(rows))
"""


def probe(target, prog, cases):
    import json

    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([target, prog, cases])],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def heavy(modules):
    return sorted(HEAVY.intersection(module.partition(".")[0] for module in modules))


TARGETS = {
    "dunes": "dunes.cli:app",
    "mcp": "dunes_mcp.cli:app",
    "torgo": "torgo.cli:app",
    "sakina": "sakina.cli:app",
    "qiskit": "dunes.keygen_cli:app",
}


@pytest.mark.parametrize("prog", sorted(TARGETS))
def test_no_help_page_and_no_mistake_loads_a_heavy_module(prog):
    root = programs().get(prog)
    if root is None:
        pytest.skip(f"{prog} has no command yet")
    cases = [["--version"], ["-h"], ["no-such-command"], ["--no-such-option"], []]
    for node in root.walk():
        cases.append([*node.path[1:], "-h"])
        cases.append([*node.path[1:], "--no-such-option"])
    for argv, status, modules in probe(TARGETS[prog], prog, cases):
        expected = 0 if argv and argv[-1] in {"-h", "--version"} else 2
        assert expected == status, argv
        assert [] == heavy(modules), f"{prog} {' '.join(argv)} or a command before it"


def test_dunes_itself_imports_no_command():
    ((_, _, modules),) = probe("dunes.cli:app", "dunes", [["-h"]])
    assert [] == [name for name in modules if name.startswith("dunes.commands.")]
    assert not {"subprocess", "sqlite3", "ssl", "email"}.intersection(modules) - {"subprocess"}
