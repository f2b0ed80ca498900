"""What a node's radio drinks: charge for sending and listening.

Source: nRF52840 Product Specification, RADIO electrical specification, DC/DC at 3 V:
receiving at 1 Mb/s 4.6 mA, sending 4.8 mA at 0 dBm and 14.8 mA at +8 dBm; sleeping with
full RAM 1.5 uA. Between and beyond the two powers the current is interpolated.
"""

from torgo.flood import CHANNELS, EVENT_US, PACKET_US

SUPPLY_V = 3.0
RX_MA = 4.6
TX_0_MA = 4.8
TX_8_MA = 14.8
TX_LEAST_MA = 2.3
SLEEP_MA = 0.0015
HOST_MA = 0.4
"""Processor and housekeeping, on average (assumption)."""
POLL_S = 60.0
"""How often a low-power node asks its friend (assumption)."""
POLL_RX_S = 0.03
"""How long it listens each time (assumption)."""
LOUD_DBM = 8.0


def tx_current_ma(power_dbm: float) -> float:
    """Give the current while sending."""
    step = (TX_8_MA - TX_0_MA) / LOUD_DBM
    return (
        max(TX_LEAST_MA, TX_0_MA + step * power_dbm)
        if power_dbm >= 0
        else max(TX_LEAST_MA, TX_0_MA + power_dbm / 8)
    )


def mean_power_mw(events_per_s: float, power_dbm: float, *, low_power: bool) -> float:
    """Give the mean power of a node that sends so many advertising events a second.

    One that is not low-power listens whenever it does not send, as relays and plain
    nodes of a mesh must; one that is sleeps, and polls its friend.
    """
    sending = events_per_s * CHANNELS * PACKET_US / 1e6
    busy = min(1.0, events_per_s * EVENT_US / 1e6)
    listening = POLL_RX_S / POLL_S if low_power else 1.0 - busy
    current = (
        sending * tx_current_ma(power_dbm)
        + listening * RX_MA
        + HOST_MA * (busy if low_power else 1.0)
        + SLEEP_MA
    )
    return current * SUPPLY_V
