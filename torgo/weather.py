"""What changes while a mesh works: obstacles move, power fails and returns."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from torgo.dice import dice
from torgo.graph import Graph
from torgo.links import find_links
from torgo.obstacles import Obstacle, obstacle_loss
from torgo.plan import Plan

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Weather:
    """The state of the site at one moment.

    Attributes:
        at_s: since the start.
        graph: of the links that work now.
        alive: flags of the nodes that have power.
        obstacles: those that move, where they are now.
    """

    at_s: float
    graph: Graph
    alive: list[bool]
    obstacles: list[Obstacle]


@dataclass(slots=True)
class _Walker:
    """An obstacle on its way from one random place to the next."""

    x_m: float
    y_m: float
    to_x_m: float
    to_y_m: float


def forecast(
    plan: Plan, duration_s: float, step_s: float, seed: int, *, moving: bool = True
) -> Iterator[Weather]:
    """Let time pass over a site, step by step; the same seed gives the same weather.

    Obstacles walk between random places; each node loses power at random and gets it
    back, so that in the long run the environment's share is without; weak nodes change
    in the same way. A link works if it has the planned strength in spite of all that.
    """
    world = plan.dynamics
    rng = dice(seed, "weather")
    radius = plan.site.radius_m
    size = len(plan.nodes)

    def somewhere() -> tuple[float, float]:
        r, angle = radius * math.sqrt(rng.random()), rng.random() * 2 * math.pi
        return r * math.cos(angle), r * math.sin(angle)

    walkers = [
        _Walker(*somewhere(), *somewhere()) for _ in range(world.obstacles if moving else 0)
    ]
    doors = set(plan.gateways)
    dark = [i not in doors and rng.random() < world.brown_out for i in range(size)]
    weak = [i not in doors and rng.random() < world.weak for i in range(size)]
    links = (
        plan.planned
        if plan.measured
        else find_links(
            plan.x_m,
            plan.y_m,
            plan.height_m,
            plan.radio,
            plan.propagation,
            plan.obstacles,
        )
    )
    a, b = links.a, links.b
    ax, ay, bx, by = plan.x_m[a], plan.y_m[a], plan.x_m[b], plan.y_m[b]
    recover = min(1.0, step_s / world.brown_out_s)
    at_s = 0.0
    while at_s <= duration_s + 1e-9:
        here = [
            Obstacle(
                f"moving obstacle {n}",
                world.obstacle_loss_db,
                round(walker.x_m, 1),
                round(walker.y_m, 1),
                world.obstacle_radius_m,
            )
            for n, walker in enumerate(walkers, 1)
        ]
        rssi = links.rssi_dbm - obstacle_loss(here, ax, ay, bx, by)
        low = np.array(weak, np.bool_)
        rssi = rssi - np.where(low[a] | low[b], world.power_drop_db, 0.0)
        now = replace(links, rssi_dbm=rssi)
        yield Weather(at_s, now.graph(), [not d for d in dark], here)
        at_s += step_s
        for walker in walkers:
            _walk(walker, world.obstacle_speed_m_s * step_s, somewhere())
        for i in range(size):
            if i in doors:
                continue
            dark[i] = _flip(dark[i], world.brown_out, recover, rng.random())
            weak[i] = _flip(weak[i], world.weak, recover, rng.random())


def _walk(walker: _Walker, distance_m: float, then: tuple[float, float]) -> None:
    dx, dy = walker.to_x_m - walker.x_m, walker.to_y_m - walker.y_m
    left = math.hypot(dx, dy)
    if left <= distance_m:
        walker.x_m, walker.y_m = walker.to_x_m, walker.to_y_m
        walker.to_x_m, walker.to_y_m = then
        return
    walker.x_m += dx / left * distance_m
    walker.y_m += dy / left * distance_m


def _flip(on: bool, share: float, recover: float, dice_roll: float) -> bool:
    """Take one step of a two-state chain whose long-run share of `on` is `share`."""
    if on:
        return dice_roll >= recover
    begin = recover * share / (1 - share) if share < 1 else 1.0
    return dice_roll < begin
