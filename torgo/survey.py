"""What people measured: node positions, and signal strengths of a running mesh."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from torgo.environment import BODY_RADIUS_M, MOST_NODES, Environment
from torgo.errors import BadSite
from torgo.graph import Graph, hops_from
from torgo.placement import Station, gateway_places

STRONGEST_DBM = 20.0
WEAKEST_DBM = -127.0
"""Bounds of an RSSI report (Core 5.4, 7.7.65.13)."""
NAMED = 5
DRAW_LIMIT = 1_500
"""Above so many nodes without positions a circle must do for the picture."""


@dataclass(frozen=True, slots=True)
class Place:
    """A row of a layout file, before gateways are chosen."""

    id: str
    x_m: float
    y_m: float
    height_m: float | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout file.

    Attributes:
        places: as given.
        centre: latitude and longitude of the origin, where the file has them.
    """

    places: list[Place]
    centre: tuple[float, float] | None = None


def parse_layout(text: str, where: str, body: str) -> Layout:
    """Read positions from CSV (id, x_m, y_m or latitude, longitude) or GeoJSON points.

    Raises:
        BadSite: nothing to read, a missing column, a bad number, a repeated name; the
            message has the line or the feature.
    """
    if text.lstrip()[:1] == "{":
        layout = _parse_geojson(text, where, body)
    else:
        layout = _parse_csv(text, where, body)
    if not layout.places:
        raise BadSite(f"{where}: no position in it", hint="columns: id,x_m,y_m,height_m,kind")
    if len(layout.places) > MOST_NODES:
        raise BadSite(f"{where}: {len(layout.places)} nodes; a mesh has at most {MOST_NODES}")
    seen: set[str] = set()
    for place in layout.places:
        if place.id in seen:
            raise BadSite(f"{where}: {place.id[:40]!r} is there twice")
        seen.add(place.id)
    return layout


def _rows(
    text: str, where: str, wanted: Sequence[set[str]]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Read CSV with a header that has all columns of one of `wanted`."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), skipinitialspace=True)
    try:
        names = {name.strip() for name in reader.fieldnames or [] if name}
        if not any(columns <= names for columns in wanted):
            options = " or ".join(",".join(sorted(columns)) for columns in wanted)
            raise BadSite(f"{where}: the first line has to name the columns {options}")
        for row in reader:
            clean = {
                k.strip(): (v or "").strip()
                for k, v in row.items()
                if k and not isinstance(v, list)
            }
            if any(clean.values()):
                yield reader.line_num, clean
    except csv.Error as e:
        raise BadSite(f"{where}:{reader.line_num}: {e}") from e


def _number(text: str, what: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as e:
        raise BadSite(f"{where}: {what} {text[:40]!r} is no number") from e
    if not math.isfinite(value):
        raise BadSite(f"{where}: {what} is {text[:40]}")
    return value


def _name(text: str, where: str) -> str:
    if not text or not text.isprintable() or len(text) > 64:  # noqa: PLR2004 - house rule for names
        raise BadSite(f"{where}: {text[:40]!r} is no name of 1 to 64 printable characters")
    return text


def _parse_csv(text: str, where: str, body: str) -> Layout:
    local, globe = {"id", "x_m", "y_m"}, {"id", "latitude", "longitude"}
    found = []
    degrees: list[tuple[float, float]] = []
    for line, row in _rows(text, where, [local, globe]):
        at = f"{where}:{line}"
        height = _number(row["height_m"], "height_m", at) if row.get("height_m") else None
        if local <= row.keys():
            x, y = _number(row["x_m"], "x_m", at), _number(row["y_m"], "y_m", at)
        else:
            y, x = (
                _number(row["latitude"], "latitude", at),
                _number(row["longitude"], "longitude", at),
            )
            degrees.append((y, x))
        found.append(
            Place(_name(row["id"], at), x, y, _height(height, at), row.get("kind") or None)
        )
    return _localise(found, body, where) if degrees else Layout(found)


def _height(height: float | None, where: str) -> float | None:
    if height is not None and not 0 < height <= 1000:  # noqa: PLR2004 - no mast is higher
        raise BadSite(f"{where}: height_m is {height:g}, not above 0 and up to 1000")
    return height


def _parse_geojson(text: str, where: str, body: str) -> Layout:
    try:
        table: Any = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise BadSite(f"{where}: not JSON: {e}") from e
    features = table.get("features")
    if table.get("type") != "FeatureCollection" or not isinstance(features, list):
        raise BadSite(f"{where}: not a GeoJSON FeatureCollection")
    found = []
    for n, feature in enumerate(features):
        at = f"{where}: features[{n}]"
        geometry = feature.get("geometry") if isinstance(feature, dict) else None
        if not isinstance(geometry, dict) or geometry.get("type") != "Point":
            continue
        spot = geometry.get("coordinates")
        if not isinstance(spot, list) or len(spot) < 2:  # noqa: PLR2004 - longitude, latitude
            raise BadSite(f"{at}: a Point needs two coordinates")
        more = feature.get("properties") or {}
        name = str(more.get("id") or more.get("name") or feature.get("id") or f"node-{n + 1:03d}")
        height = more.get("height_m")
        found.append(
            Place(
                _name(name, at),
                _number(str(spot[0]), "longitude", at),
                _number(str(spot[1]), "latitude", at),
                None if height is None else _height(_number(str(height), "height_m", at), at),
                str(more["kind"]) if more.get("kind") else None,
            )
        )
    return _localise(found, body, where)


def _localise(places: list[Place], body: str, where: str) -> Layout:
    """Turn degrees into metres around the middle of all points."""
    radius = BODY_RADIUS_M.get(body, 0.0)
    if not places:
        return Layout([])
    if radius == 0.0:
        raise BadSite(f"{where}: degrees mean nothing at a site in free space; give x_m and y_m")
    for place in places:
        if not (-90 <= place.y_m <= 90 and -180 <= place.x_m <= 360):  # noqa: PLR2004 - degrees
            raise BadSite(f"{where}: {place.id}: {place.y_m:g}, {place.x_m:g} are no degrees")
    lat = (min(p.y_m for p in places) + max(p.y_m for p in places)) / 2
    lon = (min(p.x_m for p in places) + max(p.x_m for p in places)) / 2
    per_degree = math.radians(1) * radius
    return Layout(
        [
            replace(
                place,
                x_m=round((place.x_m - lon) * per_degree * math.cos(math.radians(lat)), 2),
                y_m=round((place.y_m - lat) * per_degree, 2),
            )
            for place in places
        ],
        (lat, lon),
    )


def settle(layout: Layout, env: Environment, gateways: int, seed: int) -> list[Station]:
    """Turn a layout into stations: kinds checked, heights filled in, gateways chosen.

    Rows of kind `gateway` are the gateways; if there are none, `gateways` of the others
    are made so, where they stand best.

    Raises:
        BadSite: an unknown kind, or a position outside the site.
    """
    radius = env.area.radius_m
    outside = [p for p in layout.places if math.hypot(p.x_m, p.y_m) > radius]
    if outside:
        far = max(math.hypot(p.x_m, p.y_m) for p in outside)
        names = ", ".join(f"{p.id} ({math.hypot(p.x_m, p.y_m):.0f} m)" for p in outside[:NAMED])
        raise BadSite(
            f"{len(outside)} positions lie outside the site of {radius:g} m: {names}",
            hint=f"--range {math.ceil(far):d}m takes them in",
            code="outside",
        )
    kinds = {kind.name: kind.antenna_height_m for kind in env.kinds}
    kinds["gateway"] = env.gateways.antenna_height_m
    usual = next((kind.name for kind in env.kinds if kind.relay), env.kinds[0].name)
    stations = []
    for place in layout.places:
        kind = place.kind or usual
        if kind not in kinds:
            close = get_close_matches(kind, kinds, 1)
            hint = f"do you mean {close[0]}?" if close else f"kinds: {', '.join(kinds)}"
            raise BadSite(f"{place.id}: kind {kind[:40]!r} is not in {env.name}", hint=hint)
        height = kinds[kind] if place.height_m is None else place.height_m
        stations.append(Station(place.id, kind, place.x_m, place.y_m, height))
    if not any(station.kind == "gateway" for station in stations):
        x = np.array([s.x_m for s in stations])
        y = np.array([s.y_m for s in stations])
        for i in gateway_places(x, y, gateways, seed):
            stations[i] = replace(stations[i], kind="gateway")
    return sorted(stations, key=lambda station: station.kind != "gateway")


def parse_rssi(text: str, where: str) -> list[tuple[str, str, float]]:
    """Read measured signal strengths: CSV with a, b, rssi_dbm; one row a direction or pair.

    Raises:
        BadSite: a missing column, a node that hears itself, a value out of range.
    """
    found = []
    for line, row in _rows(text, where, [{"a", "b", "rssi_dbm"}]):
        at = f"{where}:{line}"
        rssi = _number(row["rssi_dbm"], "rssi_dbm", at)
        if not WEAKEST_DBM <= rssi <= STRONGEST_DBM:
            raise BadSite(f"{at}: rssi_dbm {rssi:g} is not between -127 and 20")
        a, b = _name(row["a"], at), _name(row["b"], at)
        if a == b:
            raise BadSite(f"{at}: {a!r} hears itself")
        found.append((a, b, rssi))
    if not found:
        raise BadSite(f"{where}: no measurement in it", hint="columns: a,b,rssi_dbm")
    return found


def number_links(
    rows: Sequence[tuple[str, str, float]], ids: Sequence[str], where: str
) -> tuple[tuple[int, int, float], ...]:
    """Turn names into numbers.

    Raises:
        BadSite: a name that the layout does not have.
    """
    index = {name: i for i, name in enumerate(ids)}
    unknown = sorted({name for a, b, _ in rows for name in (a, b) if name not in index})
    if unknown:
        raise BadSite(
            f"{where}: {len(unknown)} nodes are not in the layout: {', '.join(unknown[:NAMED])}"
        )
    return tuple((index[a], index[b], rssi) for a, b, rssi in rows)


def draw_places(rows: Sequence[tuple[str, str, float]], radius_m: float) -> list[Place]:
    """Invent positions for a picture, so that nodes of few hops lie near each other.

    Classical scaling of the hop distances. The places say nothing about the terrain.
    """
    ids = sorted({name for a, b, _ in rows for name in (a, b)})
    index = {name: i for i, name in enumerate(ids)}
    size = len(ids)
    if size > DRAW_LIMIT:
        angles = [2 * math.pi * i / size for i in range(size)]
        return [
            Place(name, radius_m * math.cos(t), radius_m * math.sin(t))
            for name, t in zip(ids, angles, strict=True)
        ]
    graph = Graph.of(size, [(index[a], index[b]) for a, b, _ in rows])
    everyone = bytearray(b"\1" * size)
    hops = np.array([hops_from(graph.near, [i], everyone) for i in range(size)], np.float64)
    hops[hops < 0] = hops.max() + 2
    centre = np.eye(size) - 1 / size
    values, vectors = np.linalg.eigh(-0.5 * centre @ hops**2 @ centre)
    spots = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))
    if size == 1:
        spots = np.zeros((1, 2))
    reach = float(np.hypot(spots[:, 0], spots[:, -1]).max()) or 1.0
    scaled = spots / reach * radius_m * 0.95
    return [
        Place(name, round(float(x), 2), round(float(y), 2))
        for name, (x, y) in zip(ids, scaled[:, [0, -1]], strict=True)
    ]
