"""What meshes, their tables and their nodes are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.errors import DataError, DunesError
from dunes.gateway.naming import NodeName, element_name, find_address, mesh_table


@pytest.mark.parametrize(
    ("mesh", "table"),
    [
        ("lunar-ble-001", "lunar_telemetry"),
        ("mars-ble-001", "mars_telemetry"),
        ("lunar", "lunar_telemetry"),
        ("lunar-001", "lunar_telemetry"),
        ("lunar-ble", "lunar_telemetry"),
        ("lunar-mesh-2", "lunar_telemetry"),
        ("farm-west-ble-002", "farm_west_telemetry"),
        ("rover-data", "rover_telemetry"),
        ("ble-001", "ble_telemetry"),
        ("hab2", "hab2_telemetry"),
    ],
)
def test_a_mesh_fills_the_table_of_its_place(mesh, table):
    assert table == mesh_table(mesh)


def test_a_mesh_without_letters_names_no_table():
    with pytest.raises(DataError):
        mesh_table("001")


NODES = [
    NodeName(2, 3, b"u" * 16, "hab-1"),
    NodeName(5, 1, b"v" * 16, ""),
    NodeName(6, 2, b"w" * 16, "hab-1.1"),
]


def test_a_name_goes_before_an_element():
    assert (NODES[2], 6) == find_address(NODES, "hab-1.1")
    assert (NODES[0], 4) == find_address(NODES, "hab-1.2")
    assert (NODES[2], 7) == find_address(NODES, "hab-1.1.1")


def test_every_element_is_found_by_its_own_name():
    for node in NODES:
        for address in range(node.unicast, node.unicast + node.elements):
            assert address in {
                find_address(NODES, element_name(node, address))[1],
                3,  # hab-1.1 names another node too
            }


@given(st.text(max_size=80))
def test_any_text_is_found_or_answered(text):
    try:
        node, address = find_address(NODES, text)
    except DunesError as e:
        problem = e
    else:
        assert node.unicast <= address < node.unicast + node.elements
        return
    assert problem.hint
    assert problem.message.isprintable()
