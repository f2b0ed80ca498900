"""The firmware of virtual nodes: a board with its bootloader, and SMP over GATT to reach it.

A node's restart, whoever asked for it, goes through its bootloader: a trial that nobody
confirmed ends there. What the mesh has stored survives, as on a real board.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from bumble.core import UUID
from bumble.gatt import Characteristic, CharacteristicValue, Service

from dunes.ble.radio import Service as Known
from dunes.ble.radio import uuid_text
from dunes.firmware.manifest import SIMULATED_BOARD
from dunes.sim.air.faults import Fault
from dunes.sim.air.fleet import Fleet
from dunes.sim.air.node import VirtualNode
from dunes.sim.boardkeeper import BoardKeeper
from dunes.sim.mcuboot import Board
from dunes.sim.sitefirmware import bootloader_key, factory_image
from dunes.sim.smp_carriers import GattStream
from dunes.sim.smp_host import RESET_S
from dunes.sim.smp_server import SmpServer

SMP_CHARACTERISTIC = "da2e7828-fbce-4e01-ae9e-261174997c48"
PROPERTIES = Characteristic.Properties.WRITE_WITHOUT_RESPONSE | Characteristic.Properties.NOTIFY
FLASH = "flash"


def fit_firmware(fleet: Fleet, folder: Path) -> dict[str, SmpServer]:
    """Give every node of a fleet a board that can be flashed.

    Args:
        fleet: before it starts.
        folder: of the site's firmware.

    Returns:
        the servers, by node.
    """
    key, factory = bootloader_key(folder), factory_image(folder)
    keeper = BoardKeeper(folder / FLASH)
    servers = {}
    for name, node in fleet.nodes.items():
        board = Board(SIMULATED_BOARD, key, factory)
        keeper.fill(name, board)
        board.boot()
        server = SmpServer(board, name)
        firmware = NodeFirmware(fleet, keeper, server)
        node.extras.append(firmware.service)
        node.restarted.append(firmware.restarted)
        servers[name] = server
    return servers


@dataclass(slots=True)
class NodeFirmware:
    """One node's firmware, as it is reached over GATT.

    Attributes:
        fleet: which restarts nodes.
        keeper: of the flash.
        server: of SMP.
    """

    fleet: Fleet
    keeper: BoardKeeper
    server: SmpServer
    _stream: GattStream = field(init=False)

    def __post_init__(self) -> None:
        """Begin without a frame."""
        self._stream = GattStream(self.server.buffer_bytes)

    def restarted(self) -> None:
        """Go through the bootloader: the node lost its power, or was told to restart."""
        self.server.reset()
        self.keeper.keep(self.server.name, self.server.board)

    def service(self, node: VirtualNode) -> Service:
        """Make the service for a central that connects."""
        self._stream.forget()
        characteristic: Characteristic[bytes] = Characteristic(
            UUID(SMP_CHARACTERISTIC),
            PROPERTIES,
            Characteristic.WRITEABLE,
            CharacteristicValue(
                write=lambda _bearer, value: self._written(node, characteristic, value)
            ),
        )
        return Service(UUID(uuid_text(Known.SMP.value)), [characteristic])

    def _written(
        self, node: VirtualNode, characteristic: Characteristic[bytes], value: bytes
    ) -> None:
        """Take a write; answer every frame that it completes."""
        if not node.powered or node.peripheral.table is None:
            return
        room = node.peripheral.table.room_bytes
        for frame in self._stream.feed(value):
            answer = self.server.receive(frame) or b""
            for at in range(0, len(answer), room):
                node.peripheral.notify(characteristic, answer[at : at + room])
            if self.server.upload is None:
                self.keeper.keep(node.name, self.server.board)
            if self.server.reset_due:
                self.server.reset_due = False
                loop = asyncio.get_running_loop()
                loop.call_later(RESET_S, self.fleet.order, node.name, Fault.REBOOT)
