"""Who may import whom. One room that reaches into another is seen here."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "dunes": ROOT / "dunes",
    "torgo": ROOT / "torgo",
    "arachnid": ROOT / "arachnid",
    "sakina": ROOT / "sakina",
    "dunes_mcp": ROOT / "mcp/dunes_mcp",
}

PURE = [
    "dunes/mesh/**/*.py",
    "dunes/gateway/addressrange.py",
    "dunes/gateway/bridge.py",
    "dunes/gateway/cdb*.py",
    "dunes/gateway/design.py",
    "dunes/gateway/devicelinks.py",
    "dunes/gateway/groups.py",
    "dunes/gateway/members.py",
    "dunes/gateway/names.py",
    "dunes/gateway/naming.py",
    "dunes/gateway/nodesettings.py",
    "dunes/gateway/oobfile.py",
    "dunes/gateway/outcome.py",
    "dunes/gateway/planfile.py",
    "dunes/gateway/profile.py",
    "dunes/gateway/reach.py",
    "dunes/gateway/readings.py",
    "dunes/gateway/recovery.py",
    "dunes/gateway/sealing.py",
    "dunes/gateway/wholestate.py",
    "dunes/crypto/compactjws.py",
    "dunes/maml/**/*.py",
    "dunes/mu/**/*.py",
    "dunes/starlink/monitor.py",
    "dunes/uplink/protocol.py",
    "dunes/uplink/sender.py",
    "dunes/buffer/frame.py",
    "dunes/buffer/frameheader.py",
    "dunes/buffer/payload.py",
    "dunes/buffer/records.py",
    *(
        f"dunes/authority/{name}.py"
        for name in (
            "challenge",
            "decide",
            "jose",
            "model",
            "policy",
            "policydoc",
            "pseudonym",
            "standing",
            "token",
        )
    ),
    "dunes/sim/air/ear.py",
    "dunes/sim/air/faults.py",
    "dunes/sim/air/field.py",
    "dunes/sim/air/instruments.py",
    "dunes/sim/air/models.py",
    "dunes/sim/air/pathloss.py",
    "dunes/sim/air/roster.py",
    "dunes/sim/air/talk.py",
    *(
        f"sakina/oauth/{name}.py"
        for name in ("clientauth", "device", "dpop", "idtoken", "jose", "pkce")
    ),
    "sakina/grant.py",
    "sakina/scopes.py",
    "dunes/firmware/image.py",
    "dunes/firmware/manifest.py",
    "dunes/firmware/rules.py",
    "dunes/firmware/target.py",
    "dunes/firmware/uf2.py",
    "dunes/firmware/version.py",
    "dunes/sim/mcuboot.py",
    "dunes/sim/signedimage.py",
    "dunes/sim/smp_carriers.py",
    "dunes/sim/smp_server.py",
    "dunes/model.py",
    "dunes/units.py",
    "torgo/**/*.py",
    "arachnid/queue.py",
    "arachnid/learn.py",
]
"""Cores: bytes, time and dice come in as arguments, events and bytes go out."""

NOT_PURE = {"torgo/cli.py", "dunes/mu/log.py", "dunes/maml/settings.py"}
"""In the folders above, yet at the edge: a command line, a log's table."""

FORBIDDEN = frozenset(
    {
        "aiohttp", "alembic", "apsw", "asyncio", "bleak", "bumble", "dbus_fast", "grpc", "httpx",
        "rich", "select", "socket", "sqlalchemy", "sqlite3", "subprocess", "time", "typer",
        "urllib3", "uvicorn",
    }
)  # fmt: skip


def source_files():
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            name = ".".join([package, *path.relative_to(folder).with_suffix("").parts])
            yield name.removesuffix(".__init__"), path


SOURCES = dict(source_files())


def imported(path):
    """Name what a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def pure_files():
    found = {path for pattern in PURE for path in ROOT.glob(pattern)}
    return sorted(
        path
        for path in found
        if str(path.relative_to(ROOT)) not in NOT_PURE and "commands" not in path.parts
    )


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_core_does_no_io(path):
    assert set() == FORBIDDEN.intersection(name.partition(".")[0] for name in imported(path))


COMMANDS = tuple(f"{package}.commands" for package in PACKAGES)


def test_the_commands_are_imported_by_nobody():
    for name, path in SOURCES.items():
        if not name.startswith(COMMANDS):
            reached = {i for i in imported(path) if i.startswith(COMMANDS)}
            assert set() == reached, name


def test_the_core_imports_no_tool_but_in_its_commands():
    tools = set(PACKAGES) - {"dunes"}
    for name, path in SOURCES.items():
        if name.startswith("dunes.") and not name.startswith("dunes.commands"):
            reached = tools.intersection(i.partition(".")[0] for i in imported(path))
            assert set() == reached, name


def test_a_tool_imports_no_other_tool():
    tools = set(PACKAGES) - {"dunes"}
    for name, path in SOURCES.items():
        own = name.partition(".")[0]
        if own in tools:
            reached = (tools - {own}).intersection(i.partition(".")[0] for i in imported(path))
            assert set() == reached, name


ROOMS = {
    # a room, and the rooms that it has no business in
    "dunes.buffer": {
        "dunes.starlink",
        "dunes.uplink",
        "dunes.sim",
        "dunes.console",
        "dunes.mesh",
        "dunes.gateway",
    },
    "dunes.ble": {
        "dunes.buffer",
        "dunes.uplink",
        "dunes.crypto",
        "dunes.sim",
        "dunes.mesh",
        "dunes.gateway",
        "dunes.console",
    },
    "dunes.mesh": {"dunes.ble", "dunes.gateway", "dunes.sim"},
    "dunes.starlink": {"dunes.buffer", "dunes.uplink", "dunes.crypto", "dunes.console"},
    "dunes.uplink": {"dunes.sim", "dunes.ble", "dunes.mesh", "dunes.console"},
    "dunes.crypto": {
        "dunes.buffer",
        "dunes.uplink",
        "dunes.starlink",
        "dunes.sim",
        "dunes.console",
    },
    "dunes.maml": {"dunes.buffer", "dunes.uplink", "dunes.starlink", "dunes.sim", "dunes.console"},
    "dunes.mu": {"dunes.buffer", "dunes.uplink", "dunes.starlink", "dunes.sim", "dunes.console"},
    "dunes.authority": {
        "dunes.buffer",
        "dunes.uplink",
        "dunes.starlink",
        "dunes.sim",
        "dunes.mesh",
        "dunes.gateway",
        "dunes.console",
    },
    "dunes.sim.air": {
        "dunes.ble.hci",
        "dunes.ble.opening",
        "dunes.buffer",
        "dunes.console",
        "dunes.gateway",
        "dunes.uplink",
        # what provisions and commands it is tested against it, and so no part of it
        "dunes.mesh.manager",
        "dunes.mesh.provisioning.provisioner",
    },
    "sakina.oauth": {
        "dunes.ble",
        "dunes.buffer",
        "dunes.console",
        "dunes.gateway",
        "dunes.mesh",
        "dunes.sim",
        "dunes.starlink",
        "dunes.uplink",
    },
    "sakina.store": {"dunes.buffer", "dunes.console", "dunes.mesh", "dunes.sim", "dunes.uplink"},
    "dunes.firmware": {"dunes.sim", "dunes.buffer", "dunes.starlink", "dunes.console"},
    "dunes.console": {
        "dunes.buffer",
        "dunes.uplink",
        "dunes.starlink",
        "dunes.sim",
        "dunes.crypto",
    },
}


RADIO_USERS = ("dunes.ble", "dunes.gateway", "dunes.commands", "dunes.doctor", "dunes.firmware")
RADIO_WORDS = ("dunes.ble.radio", "dunes.ble.errors")
"""What the simulated site may know: the nouns that it and the radios share."""


def test_only_who_talks_to_nodes_uses_the_radio():
    for name, path in SOURCES.items():
        if name.startswith("dunes.") and not name.startswith(RADIO_USERS):
            reached = {i for i in imported(path) if i.startswith("dunes.ble")}
            if name.startswith("dunes.sim."):
                reached = {i for i in reached if not i.startswith(RADIO_WORDS)}
            assert set() == reached, name


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_stays_out_of_the_others(room):
    for name, path in SOURCES.items():
        if name == room or name.startswith(room + "."):
            for target in imported(path):
                wrong = {w for w in ROOMS[room] if target == w or target.startswith(w + ".")}
                assert set() == wrong, f"{name} imports {target}"


def test_libraries_never_print():
    speakers = (*COMMANDS, "dunes.console", "dunes.sim")
    for name, path in SOURCES.items():
        if not name.startswith(speakers) and not name.endswith("cli"):
            calls = [
                node.lineno
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "print"
            ]
            assert [] == calls, name


HEAVY_AT_TOP = frozenset(
    {"sqlalchemy", "alembic", "apsw", "bleak", "httpx", "grpc", "google", "cryptography", "yaml",
     "rich", "asyncio", "numpy", "networkx", "uvicorn", "msgspec", "zstandard"}
)  # fmt: skip


def at_top(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_a_command_module_imports_only_typer_and_light_things_on_top():
    for name, path in SOURCES.items():
        if name.startswith(COMMANDS):
            reached = HEAVY_AT_TOP.intersection(i.partition(".")[0] for i in at_top(path))
            assert set() == reached, name
