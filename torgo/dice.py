"""Randomness, by seed: the same seed gives the same plan on every machine."""

from random import Random


def dice(seed: int, *purpose: int | str) -> Random:
    """Make a generator for one purpose, so that a change in one leaves the others alone."""
    return Random(":".join(map(str, (seed, *purpose))))  # noqa: S311 - a plan is no secret
