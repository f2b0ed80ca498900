"""Small sites for the tests of torgo."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from torgo.dice import dice
from torgo.environment import parse_environment
from torgo.generate import Generator, Labels, skeleton
from torgo.graph import Graph
from torgo.wish import Wish, make_draft

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT / "tests/vectors"


def read_env(name):
    path = ROOT / f"torgo/environments/{name}.toml"
    return parse_environment(path.read_text(encoding="utf-8"), name)


def scatter(size, radius, seed):
    """Scatter points over the unit square; link those within `radius`."""
    rng = dice(seed, "test site")
    points = [(rng.random(), rng.random()) for _ in range(size)]
    return Graph.of(
        size,
        [
            (a, b)
            for b in range(size)
            for a in range(b)
            if math.dist(points[a], points[b]) <= radius
        ],
    )


def make_wish(name, **changes):
    env = read_env(name)
    wish = Wish(
        env,
        env.defaults.redundancy,
        env.defaults.nodes,
        env.gateways.count,
        env.defaults.hops_max,
        iterations=100,
    )
    return replace(wish, **changes)


@cache
def make_plan(name, iterations=100, seed=1):
    """Make a plan of an environment; made once, as plans do not change."""
    wish = make_wish(name, iterations=iterations, seed=seed)
    generator = Generator(skeleton(make_draft(wish), Labels("generate", "test", name)))
    for _ in generator.search(iterations):
        pass
    return generator.plan()


@pytest.fixture(scope="session")
def load_env():
    """Read an environment by name."""
    return read_env


@pytest.fixture(scope="session")
def disc_graph():
    """Make a random graph of near points: size, radius, seed."""
    return scatter


@pytest.fixture(scope="session")
def wish_for():
    """Make the wish of an environment, with changes."""
    return make_wish


@pytest.fixture(scope="session")
def plan_for():
    """Make the plan of an environment: name, iterations, seed."""
    return make_plan


@pytest.fixture(scope="session")
def mars():
    return make_plan("mars-surface")


@pytest.fixture(scope="session")
def lunar():
    return make_plan("lunar-hab")


@pytest.fixture(scope="session")
def space():
    return make_plan("space-hab")
