"""BabbleSim: the plan's air, so that the real Zephyr stack can run on it.

A file for the `multiatt` channel: `transmitter receiver: attenuation in dB`, both
directions; with
`-channel=multiatt -argschannel -at=100 -atextra=0 -file=F`.

Source: BabbleSim, ext_2G4_channel_multiatt, README.
"""

from torgo.ether import plan_links
from torgo.plan import Plan

DEAF_DB = 195.0


def babblesim(plan: Plan) -> str:
    """Write the attenuation between all pairs; those that never hear each other are deaf.

    The antenna gains are part of it, so devices send with the plan's power.
    """
    size = len(plan.nodes)
    links = plan_links(plan)
    heard: dict[tuple[int, int], float] = {}
    for a, b, rssi in zip(
        links.a.tolist(), links.b.tolist(), links.rssi_dbm.tolist(), strict=True
    ):
        heard[a, b] = heard[b, a] = plan.radio.tx_power_dbm - rssi
    lines = [
        f"# {plan.name}: {size} devices, numbered as the nodes of the plan",
        (
            f"# transmit power {plan.radio.tx_power_dbm:g} dBm, "
            f"sensitivity {plan.radio.sensitivity_dbm:g} dBm"
        ),
        *(f"# {i} {node.id} ({node.role})" for i, node in enumerate(plan.nodes)),
    ]
    for a in range(size):
        lines += [f"{a} {b}: {heard.get((a, b), DEAF_DB):.2f}" for b in range(size) if a != b]
    return "\n".join(lines) + "\n"
