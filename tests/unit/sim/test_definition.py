"""Site definitions: the two that ship, and wrong ones."""

import pytest

from dunes.errors import DataError, NotFound
from dunes.model import check_name, table_name
from dunes.sim.definition import load_definition, parse_definition, site_names


def test_the_moon_and_mars_ship():
    assert ["lunar", "mars"] == site_names()


@pytest.mark.parametrize("name", ["lunar", "mars"])
def test_a_shipped_site_names_its_tables_and_devices_as_the_house_does(name):
    definition = load_definition(name)

    assert name == definition.name
    for source in definition.sources:
        assert source.table == table_name(source.table)
        check_name(source.device_name(source.count), "device")


def test_the_lunar_site_measures_co2_ten_times_a_second():
    (habitat, _vitals) = load_definition("lunar").sources

    co2 = next(channel for channel in habitat.channels if channel.kind == "co2")
    assert ("ppm", 0.1) == (co2.unit, co2.every_s)
    assert "hab-sensor-001" == habitat.device_name(1)


def test_an_unknown_site_is_answered_with_those_there_are():
    with pytest.raises(NotFound, match="lunar, mars") as caught:
        load_definition("lunra")

    assert "dunes sim up --site lunar" == caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "name = 1",
        "name = 'x'\ntitle = 't'",
        "no toml",
        "name='x'\ntitle='t'\nsources=[{table='a'}]",
    ],
)
def test_a_wrong_definition_says_where(text):
    with pytest.raises(DataError, match=r"site x: "):
        parse_definition(text, "site x")
