"""Exports, each read by somebody else's reader."""

import io
import json
import math
import re
import uuid
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import jsonschema
import networkx as nx
import pytest

from dunes.gateway.cdbread import read_cdb
from torgo.environment import BODY_RADIUS_M
from torgo.errors import Impossible
from torgo.explain import disjoint_paths
from torgo.exports.babblesim import babblesim
from torgo.exports.cdb import cdb
from torgo.exports.drawing import nice_length
from torgo.exports.geojson import geojson
from torgo.exports.graphml import graphml
from torgo.exports.labels import Labels
from torgo.exports.page import page
from torgo.exports.svg import svg

ASSETS = Path(__file__).resolve().parents[3] / "torgo/exports"
SCRIPT = (ASSETS / "page.js").read_text(encoding="utf-8")
STYLE = (ASSETS / "page.css").read_text(encoding="utf-8")


def test_networkx_reads_the_graphml_with_all_its_attributes(mars):
    graph = nx.read_graphml(io.BytesIO(graphml(mars).encode()))
    assert {node.id for node in mars.nodes} == set(graph)
    assert len(mars.links) == graph.number_of_edges()
    for node in mars.nodes:
        data = graph.nodes[node.id]
        assert (node.role != "leaf", node.role == "gateway", node.x_m, node.y_m) == (
            data["relay"],
            data["gateway"],
            data["x_m"],
            data["y_m"],
        )
    a, b, rssi = mars.links[0]
    assert rssi == graph.edges[mars.nodes[a].id, mars.nodes[b].id]["rssi_dbm"]
    relays = [node for node, data in graph.nodes(data=True) if data["relay"]]
    assert nx.node_connectivity(graph.subgraph(relays)) >= mars.request.redundancy


def test_geojson_gives_the_distances_back_on_its_body(mars):
    table = json.loads(geojson(mars))
    points = [f for f in table["features"] if f["geometry"]["type"] == "Point"]
    lines = [f for f in table["features"] if f["geometry"]["type"] == "LineString"]
    assert (len(mars.nodes), len(mars.links)) == (len(points), len(lines))
    assert "urn:ogc:def:crs:IAU:2015:49900" == table["crs"]["properties"]["name"]
    (lon1, lat1), (lon2, lat2) = (p["geometry"]["coordinates"] for p in points[:2])
    east = math.radians(lon2 - lon1) * math.cos(math.radians(lat1)) * BODY_RADIUS_M["mars"]
    north = math.radians(lat2 - lat1) * BODY_RADIUS_M["mars"]
    expected = math.dist(*((node.x_m, node.y_m) for node in mars.nodes[:2]))
    assert expected == pytest.approx(math.hypot(east, north), rel=1e-3)


def test_a_site_in_free_space_has_no_map(space):
    with pytest.raises(Impossible, match="no latitude"):
        geojson(space)


def test_the_cdb_preview_keeps_the_profile_s_rules(lunar):
    table = json.loads(cdb(lunar, bytes(range(16)), "2031-05-01T12:00:00Z"))
    assert ("1.0.1", True) == (table["version"], table["partial"])
    assert "000102030405060708090A0B0C0D0E0F" == table["netKeys"][0]["key"]
    assert "deviceKey" not in json.dumps(table)
    addresses = [node["unicastAddress"] for node in table["nodes"]]
    assert [f"{i:04X}" for i in range(1, len(lunar.nodes) + 2)] == addresses
    identities = [node["UUID"] for node in table["nodes"]]
    assert len(set(identities)) == len(identities)
    assert all(str(uuid.UUID(identity)).upper() == identity for identity in identities)
    assert table["provisioners"][0]["UUID"] == identities[0]
    friends = {node.friend for node in lunar.nodes} - {None}
    for node, row in zip(lunar.nodes, table["nodes"][1:], strict=True):
        assert node.id == row["name"]
        assert {
            "relay": int(node.role != "leaf"),
            "proxy": int(node.role == "gateway"),
            "friend": int(node.id in friends),
            "lowPower": 1 if node.low_power else 2,
        } == row["features"]
        assert {"count": 3, "interval": 20} == row["networkTransmit"], "CDB counts transmissions"
        assert (node.role != "leaf") == ("relayRetransmit" in row)


def test_the_cdb_preview_is_read_where_databases_are_read(lunar):
    schema = json.loads((Path(__file__).parents[3] / "docs/mesh-cdb.schema.json").read_text())
    table = json.loads(cdb(lunar, bytes(range(16)), "2031-05-01T12:00:00Z"))
    jsonschema.Draft202012Validator(schema).validate(table)
    found = read_cdb(table)
    assert len(lunar.nodes) + 1 == len(found.without_key)
    assert [node.id for node in lunar.nodes] == found.without_key[1:]


def test_babblesim_gets_both_directions_of_every_pair(space):
    lines = [line for line in babblesim(space).splitlines() if not line.startswith("#")]
    size = len(space.nodes)
    assert size * (size - 1) == len(lines)
    table = {}
    for line in lines:
        found = re.fullmatch(r"(\d+) (\d+): (\d+\.\d+)", line)
        table[int(found[1]), int(found[2])] = float(found[3])
    assert all(table[a, b] == table[b, a] for a, b in table)
    for a, b, rssi in space.links:
        assert space.radio.tx_power_dbm - rssi == pytest.approx(table[a, b], abs=0.11)


@pytest.mark.parametrize("name", ["lunar-hab", "mars-surface", "space-hab"])
def test_the_map_is_well_formed_and_has_every_node_once(plan_for, name):
    plan = plan_for(name)
    root = ET.fromstring(svg(plan))
    shapes = [e for e in root.iter() if "data-i" in e.attrib]
    assert sorted(int(e.attrib["data-i"]) for e in shapes) == list(range(len(plan.nodes)))
    drawn = {e.attrib["data-i"]: e.attrib["class"] for e in shapes}
    for i, node in enumerate(plan.nodes):
        expected = "sleepy" if node.role == "leaf" and node.low_power else node.role
        assert expected == drawn[str(i)]
    text = "".join(root.itertext())
    assert f"redundancy {plan.request.redundancy}" in text
    assert "PROVEN" in text
    assert plan.scenario in text
    for one in plan.assumptions:
        assert one.name in text


def test_paths_differ_by_dashes_and_not_by_colour_alone(mars):
    root = ET.fromstring(svg(mars))
    paths = [e for e in root.iter() if e.attrib.get("class") == "path" and "points" in e.attrib]
    assert mars.request.redundancy == len(paths)
    assert len(paths) == len({e.attrib["stroke-dasharray"] for e in paths})
    assert len(paths) == len({e.attrib["stroke"] for e in paths})


def test_the_map_shows_the_paths_of_the_node_that_is_asked_for(mars):
    root = ET.fromstring(svg(mars, "rover-009"))
    assert any("way 1 of 5 of rover-009" in (e.text or "") for e in root.iter())


def test_single_points_of_failure_are_marked(mars):
    weak = replace(mars, proof=replace(mars.proof, cut_vertices=["rover-001"], holds=False))
    text = svg(weak)
    assert 'class="single"' in text
    assert "NOT PROVEN" in text


def test_names_cannot_break_out_of_the_map_or_the_page(mars):
    evil = '</script><script>alert(1)</script>"&<'
    nodes = [replace(mars.nodes[0], id=evil), *mars.nodes[1:]]
    plan = replace(mars, nodes=nodes, name=evil)
    ET.fromstring(svg(plan, evil))
    text = page(plan, SCRIPT, STYLE, evil)
    assert "<script>alert" not in text
    assert 2 == text.count("</script>")
    graph = nx.read_graphml(io.BytesIO(graphml(plan).encode()))
    assert evil in graph


def test_the_page_needs_nothing_from_elsewhere(mars):
    text = page(mars, SCRIPT, STYLE)
    assert [] == re.findall(r"""(?:src|href)\s*=|@import|url\((?!#)""", text)
    assert "default-src 'none'" in text
    assert {"http://www.w3.org/2000/svg"} == set(re.findall(r"https?://[^\"' ]+", text))


def test_the_page_holds_the_plan_and_everyone_s_paths(mars):
    text = page(mars, SCRIPT, STYLE)
    data = json.loads(re.search(r'id="plan">(.*?)</script>', text, re.DOTALL)[1])
    assert [node.id for node in mars.nodes] == [node["id"] for node in data["nodes"]]
    assert [disjoint_paths(mars, v) for v in range(len(mars.nodes))] == data["paths"]
    others = [i for i in range(len(mars.nodes)) if i not in mars.gateways]
    for order in data["orders"].values():
        assert others == sorted(order)


def test_labels_do_not_lie_on_each_other():
    labels = Labels()
    spots = [labels.place(100, 100, 8, "a long name", 6, 12) for _ in range(5)]
    assert len(spots) == len(set(spots))


@pytest.mark.parametrize(("metres", "expected"), [(500, 500), (499, 200), (12.5, 10), (0.7, 0.5)])
def test_scale_bars_are_round(metres, expected):
    assert expected == nice_length(metres)
