"""GeoJSON: the plan on a map of its body.

Local metres become degrees on a sphere of the body's mean radius. RFC 7946 means WGS 84;
for the Moon and Mars the member `crs` (GeoJSON 2008) names the IAU 2015 system instead,
which QGIS understands.
"""

import json
import math
from typing import Any

from torgo.environment import BODY_RADIUS_M
from torgo.errors import Impossible
from torgo.plan import Plan

CRS = {"moon": "urn:ogc:def:crs:IAU:2015:30100", "mars": "urn:ogc:def:crs:IAU:2015:49900"}
"""Spherical, planetocentric, longitude east."""
DECIMALS = 8


def geojson(plan: Plan) -> str:
    """Write nodes as points and planned links as lines.

    Raises:
        Impossible: the site is in free space.
    """
    if plan.site.body not in BODY_RADIUS_M or not BODY_RADIUS_M[plan.site.body]:
        raise Impossible(
            f"{plan.name}: a site in free space has no latitude and longitude",
            hint="torgo export PLAN --format graphml keeps its metres",
            code="no-map",
        )
    spots = [to_degrees(plan, node.x_m, node.y_m) for node in plan.nodes]
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "id": node.id,
            "geometry": {"type": "Point", "coordinates": list(spot)},
            "properties": {
                "id": node.id,
                "kind": node.kind,
                "role": node.role,
                "relay": node.role != "leaf",
                "gateway": node.role == "gateway",
                "x_m": node.x_m,
                "y_m": node.y_m,
                "height_m": node.height_m,
                "ttl": node.ttl,
                "hops": node.hops,
            },
        }
        for node, spot in zip(plan.nodes, spots, strict=True)
    ]
    features += [
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": [list(spots[a]), list(spots[b])]},
            "properties": {"a": plan.nodes[a].id, "b": plan.nodes[b].id, "rssi_dbm": rssi},
        }
        for a, b, rssi in plan.links
    ]
    table: dict[str, Any] = {"type": "FeatureCollection", "name": plan.name}
    if plan.site.body in CRS:
        table["crs"] = {"type": "name", "properties": {"name": CRS[plan.site.body]}}
    rows = ",\n".join(json.dumps(feature, ensure_ascii=False) for feature in features)
    head = json.dumps(table, ensure_ascii=False)[:-1]
    return f'{head}, "features": [\n{rows}\n]}}\n'


def to_degrees(plan: Plan, x_m: float, y_m: float) -> tuple[float, float]:
    """Turn local metres into longitude and latitude (small sites: a flat map)."""
    per_degree = math.radians(1) * BODY_RADIUS_M[plan.site.body]
    latitude = plan.site.latitude_deg + y_m / per_degree
    shrink = max(1e-6, math.cos(math.radians(plan.site.latitude_deg)))
    longitude = plan.site.longitude_deg + x_m / per_degree / shrink
    return round(longitude, DECIMALS), round(latitude, DECIMALS)
