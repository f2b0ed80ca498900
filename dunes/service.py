"""systemd units for the parts of a gateway that run on their own.

A unit is printed, never installed. Paths are absolute (Debian's `/usr/bin/mcp` is
another program), secrets come by LoadCredential, and the exit statuses that no
restart can mend stop the restarts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HARDENING = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
CapabilityBoundingSet=
UMask=0077
"""

UNIT = """\
# {name}.service, made by `dunes service --print {short}`. To install it:
#   dunes service --print {short} | sudo tee /etc/systemd/system/{name}.service
{steps}#   sudo systemctl daemon-reload && sudo systemctl enable --now {name}
[Unit]
Description={description}
Documentation=man:{page}(1)
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={command}
DynamicUser=yes
User={state}
StateDirectory={state}
StateDirectoryMode=0700
RuntimeDirectory={state}
RuntimeDirectoryPreserve=yes
ConfigurationDirectory=dunes
{credential}Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2 CONFIG NOPERM
{hardening}
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """A service of ours.

    Attributes:
        description: for `systemctl status`.
        script: which of our scripts.
        arguments: what follows it.
        state: its user, and its folder below /var/lib; a gateway's services share one.
        credential: it needs the uplink's API key.
    """

    description: str
    script: str
    arguments: str
    state: str
    credential: bool


UNITS: Mapping[str, Unit] = {
    "sync": Unit(
        "Bring buffered readings to the ground station, alerts first",
        "mcp",
        "sync --buffer {table} --watch",
        "dunes",
        credential=True,
    ),
    "ingest": Unit(
        "Take readings of sensors into the buffer",
        "dunes",
        "ingest --table {table} --follow {file}",
        "dunes",
        credential=False,
    ),
    "ground-station": Unit(
        "Receive, verify and acknowledge what gateways send",
        "mcp",
        "ground-station serve --listen {listen} --data %S/dunes-ground",
        "dunes-ground",
        credential=False,
    ),
}


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """A unit file.

    Attributes:
        name: of the unit, without `.service`.
        path: where it belongs.
        unit: its text.
    """

    name: str
    path: str
    unit: str


def unit_file(short: str, scripts: Path, places: Mapping[str, str]) -> ServiceReport:
    """Write the unit of one service.

    Args:
        short: one of `UNITS`.
        scripts: the folder of our scripts.
        places: values for `table`, `file` and `listen` in the command line.
    """
    unit = UNITS[short]
    name = f"dunes-{short}"
    arguments = unit.arguments.format(**{key: quoted(value) for key, value in places.items()})
    command = f"{quoted(str(scripts / unit.script))} {arguments} --no-input --log-format json"
    steps = credential = ""
    if unit.credential:
        steps = "#   sudo install -m 600 -D API-KEY-FILE /etc/dunes/api-key\n"
        credential = "LoadCredential=api-key:/etc/dunes/api-key\n"
    text = UNIT.format(
        name=name,
        short=short,
        steps=steps,
        description=unit.description,
        page=unit.script,
        command=command,
        state=unit.state,
        credential=credential,
        hardening=HARDENING,
    )
    return ServiceReport(name, f"/etc/systemd/system/{name}.service", text)


def quoted(word: str) -> str:
    """Write a word of a systemd command line, whatever is in it (systemd.service(5))."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = all(c.isalnum() or c in "/._-:@+=,$%" for c in word) and word
    return escaped if plain else f'"{escaped}"'
