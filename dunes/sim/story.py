"""The guide's lunar and Mars stories as lines that a person would type.

Word for word but for the number of nodes: the guide's 200 take a minute and a half alone.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a story.

    Attributes:
        typed: the command; `{ground}` stands for the ground station's data directory.
        needs: a file of the examples that it reads; empty if none.
        timeout_s: what it may take.
    """

    typed: str
    needs: str = ""
    timeout_s: float = 60.0


OUTAGE = "dunes simulate-disconnect"
"""The line whose judgement the report rests on."""

STORIES: dict[str, tuple[Line, ...]] = {
    "lunar": (
        Line("dunes sim up --site lunar --nodes 6"),
        Line("dunes init-starlink --router-ip 192.168.1.1 --api-key lunar-mission-uuid"),
        Line("dunes flash-node --firmware ble-mesh-v1.2"),
        Line("dunes mesh-init --nodes 6 --range 1000m --power-mode low"),
        Line("mcp init --starlink-router 192.168.1.1 --mesh-id lunar-ble-001"),
        Line("qiskit dunes-keygen --output lunar-key.maml"),
        Line("torgo generate --env lunar-hab --redundancy 4 --range 1000m"),
        Line("sakina auth-flow --provider starlink --scope habitat-data --user mission-control"),
        Line("sakina verify --scope telemetry --device hab-sensor-001"),
        Line(
            "mcp test-workflow --input sensor-data.json --output commands.mu --cloud-api crewai",
            needs="sensor-data.json",
        ),
        Line("dunes markup-generate --input lunar-config.maml", needs="lunar-config.maml"),
        Line("dunes ingest --table lunar_telemetry sensor-data.json", needs="sensor-data.json"),
        Line("dunes starlink-status"),
        Line(f"{OUTAGE} --duration 10m --speed 120", timeout_s=240.0),
        Line("dunes check-buffer --table lunar_telemetry"),
        Line("mcp sync --buffer lunar-data --destination earth-gs", timeout_s=90.0),
        Line("mcp ground-station verify --table lunar_telemetry --data {ground}"),
        Line("dunes sim down"),
    ),
    "mars": (
        Line("dunes sim up --site mars --nodes 6"),
        Line("dunes init-starlink --router-ip 192.168.2.1 --api-key mars-mission-uuid"),
        Line("dunes flash-node --firmware ble-mesh-v1.2 --device rover-001"),
        Line("dunes mesh-init --nodes 6 --range 10km --power-mode medium"),
        Line("torgo generate --env mars-surface --redundancy 5"),
        Line("mcp init --starlink-router 192.168.2.1 --mesh-id mars-ble-001"),
        Line("qiskit dunes-keygen --bits 512 --output mars-key.maml"),
        Line("sakina auth-flow --provider starlink --scope rover-data"),
        Line("sakina verify --scope rover-telemetry"),
        Line("dunes starlink-status"),
        Line(f"{OUTAGE} --duration 10m --speed 120", timeout_s=240.0),
        Line("dunes check-buffer --table mars_telemetry"),
        Line("mcp sync --buffer mars-data --destination earth-gs", timeout_s=90.0),
        Line("mcp ground-station verify --table mars_telemetry --data {ground}"),
        Line("dunes sim down"),
    ),
}

LAST_LINE = "dunes sim down"
"""Typed even if the story breaks off."""
