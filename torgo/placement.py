"""Where nodes stand: spread evenly or at random over the site, outside its obstacles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from torgo.dice import dice
from torgo.environment import Environment
from torgo.obstacles import Obstacle, covers
from torgo.radio import Array

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
JITTER = 0.25
"""How far from its ideal place a node stands, in node spacings: terrain is never ideal."""
TRIES = 200
"""How often a node is moved that would stand inside an obstacle."""


@dataclass(frozen=True, slots=True)
class Station:
    """A node's place.

    Attributes:
        id: its name.
        kind: of node; `gateway` for one with a way out.
        x_m: east of the centre.
        y_m: north of the centre.
        height_m: of its antenna.
    """

    id: str
    kind: str
    x_m: float
    y_m: float
    height_m: float


def spread_even(count: int, radius_m: float, seed: int) -> tuple[Array, Array]:
    """Spread points over a disc, each with about the same room around it.

    A sunflower (Vogel's spiral), jittered: as even as Lloyd's relaxation within a few
    per cent, at one step per node.
    """
    rng = dice(seed, "place")
    spacing = radius_m * math.sqrt(math.pi / max(count, 1))
    turn = rng.random() * 2 * math.pi
    points = []
    for i in range(count):
        r = radius_m * math.sqrt((i + 0.5) / count)
        angle = i * GOLDEN_ANGLE + turn
        x = r * math.cos(angle) + rng.uniform(-JITTER, JITTER) * spacing
        y = r * math.sin(angle) + rng.uniform(-JITTER, JITTER) * spacing
        points.append(_pull_in(x, y, radius_m))
    return _columns(points)


def spread_random(count: int, radius_m: float, seed: int) -> tuple[Array, Array]:
    """Scatter points over a disc, each anywhere."""
    rng = dice(seed, "place")
    points = []
    for _ in range(count):
        r = radius_m * math.sqrt(rng.random())
        angle = rng.random() * 2 * math.pi
        points.append((r * math.cos(angle), r * math.sin(angle)))
    return _columns(points)


def _pull_in(x: float, y: float, radius_m: float) -> tuple[float, float]:
    r = math.hypot(x, y)
    return (x, y) if r <= radius_m else (x * radius_m / r, y * radius_m / r)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[Array, Array]:
    both = np.array(points, np.float64).reshape(len(points), 2)
    return both[:, 0].copy(), both[:, 1].copy()


def clear_obstacles(
    x_m: Array, y_m: Array, radius_m: float, obstacles: Sequence[Obstacle], seed: int
) -> None:
    """Move the points that lie inside an obstacle just out of it, in place."""
    rng = dice(seed, "clear")
    inside = np.zeros(len(x_m), np.bool_)
    for obstacle in obstacles:
        inside |= covers(obstacle, x_m, y_m)
    for i in np.flatnonzero(inside).tolist():
        x, y = float(x_m[i]), float(y_m[i])
        for step in range(1, TRIES):
            r = step * radius_m / TRIES
            angle = rng.random() * 2 * math.pi
            tx, ty = _pull_in(x + r * math.cos(angle), y + r * math.sin(angle), radius_m)
            at = np.array([tx]), np.array([ty])
            if not any(covers(obstacle, *at)[0] for obstacle in obstacles):
                x_m[i], y_m[i] = tx, ty
                break


def place(env: Environment, count: int, gateways: int, seed: int) -> list[Station]:
    """Place the nodes of a site and name them.

    The gateways take the places nearest to the centres of as many equal parts of the
    site; the kinds of the others are dealt evenly over it. The order is by gateway,
    then kind, then outwards.
    """
    radius_m = env.area.radius_m
    spread = spread_even if env.area.layout == "even" else spread_random
    x_m, y_m = spread(count, radius_m, seed)
    clear_obstacles(x_m, y_m, radius_m, env.obstacles, seed)
    doors = gateway_places(x_m, y_m, gateways, seed)
    kinds = _deal(env, count - len(doors), seed)
    rest = [i for i in range(count) if i not in set(doors)]
    stations = [
        (f"gateway-{n:03d}", "gateway", i, env.gateways.antenna_height_m)
        for n, i in enumerate(doors, 1)
    ]
    for kind in env.kinds:
        own = [i for i, name in zip(rest, kinds, strict=True) if name == kind.name]
        stations += [
            (f"{kind.name}-{n:03d}", kind.name, i, kind.antenna_height_m)
            for n, i in enumerate(own, 1)
        ]
    return [
        Station(name, kind, round(float(x_m[i]), 2), round(float(y_m[i]), 2), height)
        for name, kind, i, height in stations
    ]


def _deal(env: Environment, count: int, seed: int) -> list[str]:
    """Deal the kinds so that each is spread over the whole site in its share."""
    rng = dice(seed, "kinds")
    owed = {kind.name: rng.random() * kind.share for kind in env.kinds}
    dealt = []
    for _ in range(count):
        for kind in env.kinds:
            owed[kind.name] += kind.share
        name = max(owed, key=lambda name: owed[name])
        owed[name] -= 1
        dealt.append(name)
    return dealt


def gateway_places(x_m: Array, y_m: Array, count: int, seed: int) -> list[int]:
    """Choose the nodes that stand best for gateways: central, and apart from each other.

    K-means over the positions, then the node nearest to each mean.
    """
    count = min(count, len(x_m))
    if count == 0:
        return []
    points = np.column_stack((x_m, y_m))
    means = points[_far_apart(points, count, seed)]
    for _ in range(25):
        nearest = _nearest(points, means)
        moved = np.array(
            [
                points[nearest == k].mean(axis=0) if (nearest == k).any() else means[k]
                for k in range(count)
            ]
        )
        if np.allclose(moved, means):
            break
        means = moved
    chosen: list[int] = []
    for mean in means:
        distance = np.hypot(*(points - mean).T)
        distance[chosen] = np.inf
        chosen.append(int(distance.argmin()))
    return chosen


def _far_apart(points: Array, count: int, seed: int) -> list[int]:
    first = dice(seed, "gateways").randrange(len(points))
    chosen = [first]
    distance = np.hypot(*(points - points[first]).T)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.hypot(*(points - points[chosen[-1]]).T))
    return chosen


def _nearest(points: Array, means: Array) -> npt.NDArray[np.intp]:
    distance = np.hypot(*(points[:, None, :] - means[None, :, :]).transpose(2, 0, 1))
    nearest: npt.NDArray[np.intp] = distance.argmin(axis=1)
    return nearest
