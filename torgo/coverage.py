"""Where on the site would one more node hear enough relays?"""

import numpy as np
import numpy.typing as npt

from torgo.obstacles import obstacle_loss
from torgo.plan import Plan
from torgo.radio import path_loss

CELLS = 72
"""Along the site's diameter."""
WALKER_M = 1.5
"""Height of the antenna that is carried around: a person's chest."""


def relays_heard(plan: Plan, cells: int = CELLS) -> npt.NDArray[np.int64]:
    """Count the relays that a carried antenna would hear, at the centre of each cell.

    Returns:
        cells x cells counts, south-west first; -1 outside the site.
    """
    radius = plan.site.radius_m
    edge = (np.arange(cells) + 0.5) / cells * 2 * radius - radius
    x, y = (grid.ravel() for grid in np.meshgrid(edge, edge))
    inside = np.hypot(x, y) <= radius
    heard = np.where(inside, 0, -1).astype(np.int64)
    x, y = x[inside], y[inside]
    count = np.zeros(len(x), np.int64)
    gain = plan.radio.tx_power_dbm + 2 * plan.radio.antenna_gain_dbi
    height = np.full(len(x), WALKER_M)
    for node in plan.nodes:
        if node.role == "leaf":
            continue
        nx, ny = np.full(len(x), node.x_m), np.full(len(x), node.y_m)
        distance = np.hypot(x - nx, y - ny)
        loss = path_loss(
            plan.radio, plan.propagation, distance, np.full(len(x), node.height_m), height
        )
        loss = loss + obstacle_loss(plan.obstacles, nx, ny, x, y)
        count += gain - loss >= plan.planned_dbm
    heard[inside] = count
    return heard.reshape(cells, cells)
