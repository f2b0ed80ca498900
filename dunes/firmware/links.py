"""SMP over serial lines and UDP: smpclient's transports, with what users meet mended.

`dunes.firmware.blelink` has the one over Bluetooth.
"""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dunes.errors import ConfigError, Denied, NotFound
from dunes.firmware.target import Target, Way

if TYPE_CHECKING:
    from smpclient.transport import SMPTransport

WRITE_TIMEOUT_S = 5.0
"""A serial line that takes nothing for so long is dead."""


def need_smpclient() -> None:
    """Make sure that smpclient is there, and that it keeps its log lines for itself.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import smpclient  # noqa: F401 - only whether it is there
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"flash-node needs smpclient, which is not installed ({e.name})",
            hint="pip install 'dunes-mcp[flash]'",
            code="no-smpclient",
        ) from e
    for name in ("smpclient", "smp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what it logs, it raises too


def wired_transport(target: Target, port: int) -> "SMPTransport":
    """Make the transport for a serial line or a network.

    Args:
        target: the node.
        port: where UDP goes; the target's, or what the simulated site has for it.

    Raises:
        NotFound, Denied: the serial line.
        ConfigError: a library is missing.
    """
    need_smpclient()
    return _udp(port) if target.way is Way.UDP else _serial(target)


def _udp(port: int) -> "SMPTransport":
    from smpclient.transport.udp import SMPUDPTransport

    class Udp(SMPUDPTransport):
        """UDP to one port, no longer than the node's buffer."""

        async def connect(self, address: str, timeout_s: float, port: int = port) -> None:
            await super().connect(address, timeout_s, port)

        @property
        def max_unencoded_size(self) -> int:
            own = super().max_unencoded_size
            return min(own, self._smp_server_transport_buffer_size or own)

    return Udp()


def _serial(target: Target) -> "SMPTransport":
    path = Path(target.address)
    if not path.exists():
        raise NotFound(
            f"no serial line {path}", hint="ls -l /dev/serial/by-id", code="no-serial-line"
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise Denied(
            f"this user may not use {path}",
            hint="usermod -aG dialout $USER, then log in again",
            code="serial-denied",
        )
    try:
        from smpclient.transport.serial import SMPSerialTransport
    except ImportError as e:
        raise ConfigError(
            f"serial lines need pyserial, which is not installed ({e})",
            hint="pip install 'smpclient[serial]'",
            code="no-pyserial",
        ) from e
    return SMPSerialTransport(
        baudrate=target.speed_baud, write_timeout=WRITE_TIMEOUT_S, exclusive=True
    )
