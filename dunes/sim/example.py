"""Example input, as the simulated habitat's sensors write it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from dunes.model import Priority, Reading
from dunes.sim.definition import SiteDefinition, load_definition
from dunes.sim.feed import encode_line
from dunes.sim.telemetry import US_PER_S, make_sources

START_US = 1_795_575_600 * US_PER_S
"""2026-11-25T03:00:00Z."""

SECONDS = 40
STORM_AFTER_S = 5
DEVICES = 2
SENSOR_DATA = "sensor-data.json"


def example_readings() -> list[Reading]:
    """Make the readings of two habitat sensors over 40 s, with a solar storm as alert."""
    definition = load_definition("lunar")
    (habitat, *_) = definition.sources
    few = replace(habitat, device="hab-sample", count=DEVICES)
    channels = tuple(
        replace(channel, places=(1,) if channel.places else ()) for channel in few.channels
    )
    small: SiteDefinition = replace(definition, sources=(replace(few, channels=channels),))
    source = make_sources(small, START_US)[habitat.table]
    source.world.trigger("solar-particle", START_US / US_PER_S + STORM_AFTER_S)
    readings = list(source.readings(START_US + SECONDS * US_PER_S))
    if not any(reading.priority is Priority.ALERT for reading in readings):
        raise AssertionError("the example has lost its alert")
    return readings


def example_document() -> str:
    """Write them as one JSON document, a reading a line."""
    rows = ",\n".join(
        "  " + encode_line(reading).decode().strip() for reading in example_readings()
    )
    head = json.dumps({"site": "lunar", "simulated": True})[:-1]
    return f'{head}, "readings": [\n{rows}\n]}}\n'


def write_examples(folder: Path) -> None:
    """Put the example files into a folder: those of a source tree, if we run in one."""
    shipped = Path(__file__).resolve().parents[2] / "examples"
    if shipped.is_dir():
        for path in shipped.iterdir():
            if path.is_file():
                shutil.copy(path, folder)
    if not (folder / SENSOR_DATA).exists():
        (folder / SENSOR_DATA).write_text(example_document(), encoding="utf-8")
