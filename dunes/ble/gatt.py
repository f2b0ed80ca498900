"""What both stacks have to know of GATT on a node."""

from dunes.ble.radio import Service

ATTRIBUTE_BYTES_MAX = 512
"""Core Specification, Vol 3, Part F, 3.2.9."""
IN_OUT = {
    Service.PROVISIONING: (0x2ADB, 0x2ADC),
    Service.PROXY: (0x2ADD, 0x2ADE),
    Service.SMP: (0xDA2E7828FBCE4E01AE9E261174997C48,) * 2,
}
"""The characteristics that are written and that notify (Mesh Protocol 1.1, 7.1.3 and 7.2.3)."""
WAITING_MAX = 1024
"""Notified values that nobody read: more is a peer that floods us."""


def service_name(service: Service) -> str:
    """Name a service for people."""
    kinds = {
        Service.PROVISIONING: "mesh provisioning service (0x1827)",
        Service.PROXY: "mesh proxy service (0x1828)",
        Service.SMP: "firmware update service (SMP)",
    }
    return kinds[service]
