"""Which nodes a site has."""

import uuid

import pytest

from dunes.sim.air.roster import counts, roster
from dunes.sim.definition import load_definition, site_names


@pytest.mark.parametrize("site", site_names())
@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 7, 50, 200, 2000])
def test_a_site_has_as_many_nodes_as_were_asked_for(site, nodes):
    members = roster(load_definition(site), nodes)
    assert nodes == len({each.name for each in members})
    assert nodes == len({each.uuid for each in members})
    assert nodes == len({each.address for each in members})


def test_the_lunar_site_has_sensors_crew_and_relays_in_their_shares(lunar):
    assert [160, 12, 28] == counts(lunar.air, 200)
    names = [each.name for each in roster(lunar, 200)]
    assert {"hab-sensor-001", "hab-sensor-160", "crew-012", "relay-028"} < set(names)


def test_with_fewer_nodes_than_kinds_the_first_kinds_have_one_each(lunar):
    assert [1, 1, 0] == counts(lunar.air, 2)


def test_identities_stay_and_are_what_the_specifications_ask_for(lunar):
    first, again = roster(lunar, 20), roster(lunar, 200)
    known = {each.name: each for each in again}
    for member in first:
        assert known[member.name] == member
        made = uuid.UUID(bytes=member.uuid)
        assert (uuid.RFC_4122, 5) == (made.variant, made.version)
        assert 0xC0 == member.address[0] & 0xC0
        assert 16 == len(member.static_oob)
        assert member.static_oob.hex() not in repr(member)
