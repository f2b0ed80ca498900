"""Layouts and measurements that people bring."""

import contextlib
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torgo.errors import BadSite
from torgo.placement import Station
from torgo.survey import draw_places, number_links, parse_layout, parse_rssi, settle
from torgo.wish import measured_links


def feature(longitude, latitude, **more):
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [longitude, latitude]},
        "properties": more,
    }


def test_csv_in_metres_is_taken_as_it_is(load_env):
    text = "id,x_m,y_m,height_m,kind\na,1,2,3,\nb,-4,5,,collar\n\ng,0,0,,gateway\n"
    layout = parse_layout(text, "x.csv", "earth")
    stations = settle(layout, load_env("remote-farm"), 2, 1)
    assert [
        Station("g", "gateway", 0, 0, 4.0),
        Station("a", "field-sensor", 1, 2, 3.0),
        Station("b", "collar", -4, 5, 1.2),
    ] == stations


def test_a_byte_order_mark_and_spaces_do_no_harm():
    layout = parse_layout("\ufeffid, x_m, y_m\r\na, 1, 2\r\n", "x.csv", "earth")
    assert [("a", 1.0, 2.0)] == [(p.id, p.x_m, p.y_m) for p in layout.places]


def test_geojson_becomes_metres_around_the_middle():
    table = {
        "type": "FeatureCollection",
        "features": [
            feature(10.0, 50.0, id="west", kind="anchor"),
            feature(10.01, 50.0, name="east", height_m=6),
            {"type": "Feature", "geometry": {"type": "LineString", "coordinates": []}},
            feature(10.005, 50.002),
        ],
    }
    layout = parse_layout(json.dumps(table), "x.geojson", "earth")
    assert [50.001, 10.005] == [pytest.approx(value) for value in layout.centre]
    west, east, third = layout.places
    span = math.radians(0.01) * 6_371_008.8 * math.cos(math.radians(50.001))
    assert span == pytest.approx(east.x_m - west.x_m, abs=0.1)
    assert ("node-004", 111.2) == (third.id, pytest.approx(third.y_m, abs=0.1))
    assert (6.0, "anchor") == (east.height_m, west.kind)


def test_degrees_in_csv_are_converted_too():
    text = "id,latitude,longitude\na,0,0\nb,0.001,0\n"
    places = parse_layout(text, "x.csv", "moon").places
    assert math.radians(0.001) * 1_737_400 == pytest.approx(places[1].y_m - places[0].y_m, abs=0.1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the first line has to name the columns"),
        ("id,x,y\na,1,2\n", "the first line has to name the columns"),
        ("id,x_m,y_m\n", "no position in it"),
        ("id,x_m,y_m\na,one,2\n", "x.csv:2: x_m 'one' is no number"),
        ("id,x_m,y_m\na,inf,2\n", "x.csv:2: x_m is inf"),
        ("id,x_m,y_m\na,1,2\na,3,4\n", "'a' is there twice"),
        ("id,x_m,y_m\n,1,2\n", "is no name"),
        ("id,x_m,y_m,height_m\na,1,2,-3\n", "height_m is -3"),
        ("id,latitude,longitude\na,95,0\n", "no degrees"),
        ('{"type": "Feature"}', "not a GeoJSON FeatureCollection"),
        ('{"type": "FeatureCollection", "features": [', "not JSON"),
        ('{"type": "FeatureCollection", "features": []}', "no position in it"),
    ],
)
def test_a_wrong_layout_is_refused_with_its_place(text, reason):
    with pytest.raises(BadSite, match=re.escape(reason)):
        parse_layout(text, "x.csv", "earth")


def test_positions_outside_the_site_are_named(load_env):
    layout = parse_layout("id,x_m,y_m\nnear,1,2\nfar,900,0\n", "x.csv", "earth")
    with pytest.raises(BadSite, match=r"1 positions lie outside .* far \(900 m\)") as caught:
        settle(layout, load_env("remote-farm"), 1, 1)
    assert "--range 900m takes them in" == caught.value.hint


def test_an_unknown_kind_comes_with_a_suggestion(load_env):
    layout = parse_layout("id,x_m,y_m,kind\na,1,2,colar\n", "x.csv", "earth")
    with pytest.raises(BadSite) as caught:
        settle(layout, load_env("remote-farm"), 1, 1)
    assert "do you mean collar?" == caught.value.hint


def test_gateways_are_chosen_where_none_is_named(load_env):
    rows = "".join(f"n{i},{i * 10},0\n" for i in range(-20, 21))
    stations = settle(
        parse_layout("id,x_m,y_m\n" + rows, "x.csv", "earth"), load_env("remote-farm"), 2, 1
    )
    doors = [station.x_m for station in stations if station.kind == "gateway"]
    assert [-100, 100] == [pytest.approx(x, abs=21) for x in sorted(doors)]


def test_of_both_directions_the_weaker_counts(load_env):
    rows = parse_rssi("a,b,rssi_dbm\nx,y,-60\ny,x,-72\nx,z,-91\n", "m.csv")
    links = measured_links(3, number_links(rows, ["x", "y", "z"], "m.csv"), load_env("lunar-hab"))
    assert [(0, 1, -72.0), (0, 2, -91.0)] == list(
        zip(links.a.tolist(), links.b.tolist(), links.rssi_dbm.tolist(), strict=True)
    )
    assert 1 == links.graph().edges


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\nx,y\n", "columns a,b,rssi_dbm"),
        ("a,b,rssi_dbm\n", "no measurement"),
        ("a,b,rssi_dbm\nx,x,-60\n", "hears itself"),
        ("a,b,rssi_dbm\nx,y,60\n", "not between -127 and 20"),
        ("a,b,rssi_dbm\nx,y,loud\n", "is no number"),
    ],
)
def test_wrong_measurements_are_refused(text, reason):
    with pytest.raises(BadSite, match=re.escape(reason)):
        parse_rssi(text, "m.csv")


def test_measured_nodes_must_be_in_the_layout():
    with pytest.raises(BadSite, match="1 nodes are not in the layout: y"):
        number_links([("x", "y", -60.0)], ["x"], "m.csv")


def test_places_are_drawn_so_that_neighbours_lie_together():
    chain = [(f"n{i:02d}", f"n{i + 1:02d}", -60.0) for i in range(9)]
    places = {p.id: (p.x_m, p.y_m) for p in draw_places(chain, 100.0)}
    assert all(math.hypot(*spot) <= 100 for spot in places.values())
    first = places["n00"]
    distances = [math.dist(first, places[f"n{i:02d}"]) for i in range(10)]
    assert sorted(distances) == distances


@given(st.text(max_size=200))
def test_any_text_is_a_layout_or_refused(text):
    for parse in (lambda t: parse_layout(t, "x", "earth"), lambda t: parse_rssi(t, "x")):
        with contextlib.suppress(BadSite):
            assert parse(text)
