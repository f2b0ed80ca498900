"""From a plan to the air that the simulator floods."""

from torgo.flood import Ear, Ether, Powers
from torgo.links import Links, find_links
from torgo.plan import Plan
from torgo.radio import FAINT_DB, arrival_chance

QUIET_DB = 12.0
"""So far below sensitivity a signal still disturbs one at its limit (at 12 dB of SIR)."""
DENSE_LIMIT = 1_500
"""Up to so many nodes powers are a table, above only the near ones are kept."""
LEAST_CHANCE = 0.01


def plan_links(plan: Plan) -> Links:
    """List every pair that hears or disturbs each other, measured or modelled."""
    if plan.measured:
        return plan.planned
    deep = QUIET_DB if len(plan.nodes) <= DENSE_LIMIT else FAINT_DB
    return find_links(
        plan.x_m,
        plan.y_m,
        plan.height_m,
        plan.radio,
        plan.propagation,
        plan.obstacles,
        below_db=deep,
    )


def make_ether(links: Links, sensitivity_dbm: float) -> Ether:
    """Make the air of a list of links; both directions alike."""
    power = 10 ** (links.rssi_dbm / 10)
    chance = arrival_chance(links.rssi_dbm, sensitivity_dbm)
    ears: list[dict[int, Ear]] = [{} for _ in range(links.size)]
    dense = links.size <= DENSE_LIMIT
    table = [[0.0] * links.size for _ in range(links.size)] if dense else []
    sparse = [] if dense else [Powers() for _ in range(links.size)]
    powers: list[list[float]] | list[Powers] = table if dense else sparse
    rows = zip(links.a.tolist(), links.b.tolist(), power.tolist(), chance.tolist(), strict=True)
    for a, b, milliwatt, arrives in rows:
        powers[a][b] = powers[b][a] = milliwatt
        if arrives > LEAST_CHANCE:
            ears[a][b] = ears[b][a] = Ear(milliwatt, arrives)
    return Ether(ears, powers)


def plan_ether(plan: Plan) -> Ether:
    """Make the air of a plan."""
    return make_ether(plan_links(plan), plan.radio.sensitivity_dbm)
