"""Read advertisements: which come from mesh nodes, and what they say.

Source: Mesh Protocol 1.1, 7.1.2.2 and 7.2.2.2; Core Specification Supplement, part A.
"""

from collections.abc import Iterable, Mapping

from dunes.ble.radio import Advertisement, Service

UNPROVISIONED_BYTES = 18
"""Device UUID (16) and OOB information (2)."""
PROXY_BYTES_MAX = 29
"""Room in a legacy advertisement; the longest that is specified has 17."""
NAME_CHARACTERS_MAX = 248
"""A Bluetooth name has at most 248 octets."""

SHORT_NAME, WHOLE_NAME, SERVICE_DATA_16 = 0x08, 0x09, 0x16


def advertisement(
    address: str, rssi_dbm: int | None, name: str | None, service_data: Mapping[int, bytes]
) -> Advertisement | None:
    """Make sense of what a device advertises; None: it is no mesh node.

    Args:
        address: where to connect.
        rssi_dbm: how loud it was.
        name: its local name.
        service_data: Service Data by 16-bit UUID. A system may have kept 0x1827 of before
            beside 0x1828: then the node is provisioned.
    """
    unprovisioned = service_data.get(Service.PROVISIONING.value)
    proxy = service_data.get(Service.PROXY.value)
    if proxy is not None and not 1 <= len(proxy) <= PROXY_BYTES_MAX:
        proxy = None
    if proxy is not None or (
        unprovisioned is not None and len(unprovisioned) != UNPROVISIONED_BYTES
    ):
        unprovisioned = None
    if proxy is None and unprovisioned is None:
        return None
    return Advertisement(
        address, rssi_dbm, name[:NAME_CHARACTERS_MAX] if name else None, unprovisioned, proxy
    )


def read_structures(
    structures: Iterable[tuple[int, bytes]],
) -> tuple[str | None, dict[int, bytes]]:
    """Give name and Service Data of AD structures, each its type and its data.

    What is too short to be read is left out: it may come from anybody.
    """
    name: str | None = None
    service_data: dict[int, bytes] = {}
    for kind, data in structures:
        if kind == WHOLE_NAME or (kind == SHORT_NAME and name is None):
            name = data.decode("utf-8", errors="replace")
        elif kind == SERVICE_DATA_16 and len(data) >= 2:  # noqa: PLR2004 - the UUID itself
            service_data[int.from_bytes(data[:2], "little")] = bytes(data[2:])
    return name, service_data
