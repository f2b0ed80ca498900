"""docs/telemetry.md says what the code does."""

from pathlib import Path

import pytest

from dunes.buffer.intake.fields import (
    DEVICE_FIELDS,
    KIND_FIELDS,
    NUMBER_TIMES,
    TIME_FIELDS,
    UNIT_FIELDS,
)
from dunes.buffer.kinds import KINDS, Limits

TEXT = (Path(__file__).parents[3] / "docs" / "telemetry.md").read_text(encoding="utf-8")


def limits_text(limits: Limits) -> str:
    parts = []
    for name, below, above in (
        ("warning", limits.warn_below, limits.warn_above),
        ("alert", limits.alert_below, limits.alert_above),
    ):
        marks = [] if below is None else [f"< {below:g}"]
        marks += [] if above is None else [f"> {above:g}"]
        if marks:
            parts.append(f"{name} {' or '.join(marks)}")
    return ", ".join(parts)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_documented(kind):
    spec = KINDS[kind]
    units = ", ".join(f"`{unit}`" for unit in spec.units) or "true or false"
    urgent = "; ".join(f"{limits_text(limits)} {u}" for u, limits in spec.limits.items())
    if spec.alarm:
        urgent = "alert if true"
    assert f"| `{kind}` | {spec.what} | {units} | {urgent} |" in TEXT


@pytest.mark.parametrize(
    "name",
    [*DEVICE_FIELDS, *KIND_FIELDS, *UNIT_FIELDS, *TIME_FIELDS, *NUMBER_TIMES],
)
def test_every_field_name_is_documented(name):
    assert f"`{name}`" in TEXT
