"""What stands between antennas: round things and walls, each with its loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from torgo.radio import Array

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A disc, or a wall from (x_m, y_m) to (to_x_m, to_y_m).

    Attributes:
        name: what it is.
        loss_db: added to every link that crosses it.
        x_m: centre, or one end.
        y_m: centre, or one end.
        radius_m: of the disc; of a wall half its thickness.
        to_x_m: the other end of a wall.
        to_y_m: the other end of a wall.
    """

    name: str
    loss_db: float
    x_m: float
    y_m: float
    radius_m: float = 0.0
    to_x_m: float | None = None
    to_y_m: float | None = None

    @property
    def is_wall(self) -> bool:
        """Whether it is a wall."""
        return self.to_x_m is not None and self.to_y_m is not None

    @property
    def end(self) -> tuple[float, float]:
        """The other end of a wall; a disc ends where it begins."""
        if self.to_x_m is None or self.to_y_m is None:
            return self.x_m, self.y_m
        return self.to_x_m, self.to_y_m


def covers(obstacle: Obstacle, x_m: Array, y_m: Array) -> Flags:
    """Say which points lie inside the obstacle."""
    ex, ey = obstacle.end
    inside: Flags = _point_to_segment(x_m, y_m, obstacle.x_m, obstacle.y_m, ex, ey) < (
        obstacle.radius_m
    )
    return inside


def obstacle_loss(
    obstacles: Sequence[Obstacle], ax: Array, ay: Array, bx: Array, by: Array
) -> Array:
    """Add up what the obstacles take from each link from (ax, ay) to (bx, by)."""
    loss = np.zeros_like(ax)
    for obstacle in obstacles:
        crossed = (
            _crosses_wall(obstacle, ax, ay, bx, by)
            if obstacle.is_wall
            else _closest(ax, ay, bx, by, obstacle.x_m, obstacle.y_m) < obstacle.radius_m
        )
        loss += np.where(crossed, obstacle.loss_db, 0.0)
    return loss


def _closest(ax: Array, ay: Array, bx: Array, by: Array, px: float, py: float) -> Array:
    """Measure from the point (px, py) to each segment."""
    dx, dy = bx - ax, by - ay
    length = np.maximum(dx * dx + dy * dy, 1e-12)
    along = np.clip(((px - ax) * dx + (py - ay) * dy) / length, 0.0, 1.0)
    distance: Array = np.hypot(ax + along * dx - px, ay + along * dy - py)
    return distance


def _point_to_segment(px: Array, py: Array, ax: float, ay: float, bx: float, by: float) -> Array:
    """Measure from each point to the segment."""
    dx, dy = bx - ax, by - ay
    length = max(dx * dx + dy * dy, 1e-12)
    along = np.clip(((px - ax) * dx + (py - ay) * dy) / length, 0.0, 1.0)
    distance: Array = np.hypot(ax + along * dx - px, ay + along * dy - py)
    return distance


def _crosses_wall(wall: Obstacle, ax: Array, ay: Array, bx: Array, by: Array) -> Flags:
    """Say which segments cross the wall's middle line."""
    ex, ey = wall.end
    wx, wy = ex - wall.x_m, ey - wall.y_m
    side_a = wx * (ay - wall.y_m) - wy * (ax - wall.x_m)
    side_b = wx * (by - wall.y_m) - wy * (bx - wall.x_m)
    dx, dy = bx - ax, by - ay
    end_a = dx * (wall.y_m - ay) - dy * (wall.x_m - ax)
    end_b = dx * (ey - ay) - dy * (ex - ax)
    crossed: Flags = (side_a * side_b < 0) & (end_a * end_b < 0)
    return crossed
