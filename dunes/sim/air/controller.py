"""The gateway's controller: Bumble's virtual one, with what real hosts miss in it.

Mended here, against Bumble 0.0.236:

- one report per advertisement, and a true scan response to an active scanner;
- duplicates are filtered when the host asks for it;
- an initiator hears advertisements without scanning, and can be told to give up;
- every command is answered, asynchronous and unknown ones too;
- to disconnect a link that is gone is an error, not a silence;
- HCI_Reset ends links, scanning and connecting;
- ACL data is cut to the host's buffers.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import PhysicalTransport

from dunes.sim.air.medium import Medium

HCI_EVENT, LE_META, LE_ADVERTISING_REPORT = 0x04, 0x3E, 0x02
ADV_IND, SCAN_RSP = 0x00, 0x04
"""Event types of an LE Advertising Report (Core Specification 5.4, vol. 4, part E, 7.7.65.2)."""
ACL_BYTES = 251
ACL_FIRST, ACL_CONTINUED = 2, 1
ACTIVE_SCANNING = 1
SUPERVISION_TIMEOUT = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
NO_RANGE = (
    hci.LeFeatureMask.LL_PRIVACY
    | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
    | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
)
"""Features that Bumble's controller claims and has not."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One advertisement of a peripheral, and what it answers to an active scanner.

    Attributes:
        address: the advertiser's.
        data: advertising data, at most 31 octets.
        scan_response: likewise.
        rssi_dbm: as the gateway hears it.
    """

    address: hci.Address
    data: bytes
    scan_response: bytes
    rssi_dbm: int


class GatewayController(Controller):
    """One controller that a host drives over HCI.

    Args:
        name: for the log.
        medium: what it is in.
        public_address: its own.
        host: gets the packets.
    """

    le_features = Controller.le_features & ~NO_RANGE
    le_acl_data_packet_length = ACL_BYTES
    supported_max_tx_octets = ACL_BYTES
    supported_max_rx_octets = ACL_BYTES

    def __init__(self, name: str, medium: Medium, public_address: hci.Address, host: Any) -> None:
        super().__init__(name, host_sink=host, link=medium, public_address=public_address)
        self.medium = medium
        self._reported: set[bytes] = set()

    # ---------------------------------------------------------------- scanning, connecting

    @property
    def awaited_address(self) -> hci.Address | None:
        """Give the address that it is connecting to."""
        pending = self.pending_le_connection
        return None if pending is None else pending.peer_address

    def hear(self, heard: Heard) -> None:
        """Take an advertisement that is in reach."""
        if self.le_scan_enable:
            self._report(ADV_IND, heard.address, heard.data, heard.rssi_dbm)
            if self.le_scan_type == ACTIVE_SCANNING:
                self._report(SCAN_RSP, heard.address, heard.scan_response, heard.rssi_dbm)
        if self.awaited_address == heard.address and self.medium.takes_links(heard.address):
            self.create_le_connection(heard.address)
            self.medium.listening_changed()

    def _report(self, kind: int, address: hci.Address, data: bytes, rssi_dbm: int) -> None:
        if self.filter_duplicates:
            # address and kind, not data: what 7.8.11 calls a duplicate is up to the controller
            seen = bytes([kind]) + bytes(address) + data
            if seen in self._reported:
                return
            self._reported.add(seen)
        if self.hci_sink is not None:
            head = bytes([LE_ADVERTISING_REPORT, 1, kind, address.address_type])
            body = head + bytes(address) + bytes([len(data)]) + data + bytes([rssi_dbm & 0xFF])
            # by hand, not by Bumble's classes: it is what the air does most
            self.hci_sink.on_packet(bytes([HCI_EVENT, LE_META, len(body)]) + body)

    def on_hci_le_set_scan_enable_command(
        self, command: hci.HCI_LE_Set_Scan_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Begin or end scanning."""
        self._reported.clear()
        answer = super().on_hci_le_set_scan_enable_command(command)
        self.medium.listening_changed()
        return answer

    def on_hci_le_create_connection_command(
        self, command: hci.HCI_LE_Create_Connection_Command
    ) -> None:
        """Begin to connect."""
        super().on_hci_le_create_connection_command(command)
        self.medium.listening_changed()

    def on_hci_le_extended_create_connection_command(
        self, command: hci.HCI_LE_Extended_Create_Connection_Command
    ) -> None:
        """Begin to connect."""
        super().on_hci_le_extended_create_connection_command(command)
        self.medium.listening_changed()

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Give up connecting; the host hears of it in an event too."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        self.medium.listening_changed()
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        given_up = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address.address_type,
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        # after the answer to this command, which is sent when this function returns
        asyncio.get_running_loop().call_soon(self.send_hci_packet, given_up)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    # ---------------------------------------------------------------- links

    def on_link_acl_data(
        self, sender_address: hci.Address, transport: PhysicalTransport, data: bytes
    ) -> None:
        """Hand an L2CAP frame to the host, cut to its buffers."""
        del transport
        connection = self.le_connections.get(sender_address)
        if connection is None:
            return
        boundary = ACL_FIRST
        for at in range(0, len(data), ACL_BYTES):
            piece = data[at : at + ACL_BYTES]
            packet = hci.HCI_AclDataPacket(connection.handle, boundary, 0, len(piece), piece)
            self.send_hci_packet(packet)
            boundary = ACL_CONTINUED

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        """End a link, or say that there is none."""
        if self.find_connection_by_handle(command.connection_handle) is None:
            status = hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
            self._send_hci_command_status(status, command.op_code)
            return
        super().on_hci_disconnect_command(command)

    def drop_links(self) -> None:
        """End all links without a word to the host; the peripherals notice a timeout."""
        for connection in list(self.le_connections.values()):
            connection.send_ll_control_pdu(ll.TerminateInd(SUPERVISION_TIMEOUT))
        self.le_connections.clear()

    def on_hci_reset_command(
        self, _command: hci.HCI_Reset_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Be as after power-on."""
        self.drop_links()
        self.pending_le_connection = None
        self.le_scan_enable = False
        self.filter_duplicates = False
        self._reported.clear()
        self.medium.listening_changed()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def power_off(self) -> None:
        """Leave the air: the host is gone."""
        self.drop_links()
        self.pending_le_connection = None
        self.le_scan_enable = False
        self.hci_sink = None
        self.medium.remove_controller(self)
        self.medium.listening_changed()

    # ---------------------------------------------------------------- the other commands

    def on_hci_command(self, command: hci.HCI_Command) -> Any:
        """Answer an unknown command, as its kind is answered."""
        if isinstance(command, hci.HCI_SyncCommand):
            return super().on_hci_command(command)
        status = hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR
        self._send_hci_command_status(status, command.op_code)
        return None

    def on_hci_le_set_phy_command(self, command: hci.HCI_LE_Set_PHY_Command) -> None:
        """Stay on LE 1M, and say so."""
        self._send_hci_command_status(hci.HCI_ErrorCode.SUCCESS, command.op_code)
        self.send_hci_packet(
            hci.HCI_LE_PHY_Update_Complete_Event(
                status=hci.HCI_ErrorCode.SUCCESS,
                connection_handle=command.connection_handle,
                tx_phy=hci.Phy.LE_1M,
                rx_phy=hci.Phy.LE_1M,
            )
        )

    def on_hci_read_remote_version_information_command(
        self, command: hci.HCI_Read_Remote_Version_Information_Command
    ) -> None:
        """Answer for the peripheral."""
        self._send_hci_command_status(hci.HCI_ErrorCode.SUCCESS, command.op_code)
        self.send_hci_packet(
            hci.HCI_Read_Remote_Version_Information_Complete_Event(
                status=hci.HCI_ErrorCode.SUCCESS,
                connection_handle=command.connection_handle,
                version=hci.HCI_VERSION_BLUETOOTH_CORE_5_0,
                manufacturer_name=self.manufacturer_company_identifier,
                subversion=0,
            )
        )

    def on_hci_le_set_data_length_command(
        self, command: hci.HCI_LE_Set_Data_Length_Command
    ) -> hci.HCI_StatusAndConnectionHandleReturnParameters:
        """Accept any length: frames are carried whole."""
        return hci.HCI_StatusAndConnectionHandleReturnParameters(
            hci.HCI_ErrorCode.SUCCESS, command.connection_handle
        )

    def on_hci_command_packet(self, command: hci.HCI_Command) -> None:
        """Take a command; the one that has no answer gets none."""
        if command.op_code != hci.HCI_HOST_NUMBER_OF_COMPLETED_PACKETS_COMMAND:
            super().on_hci_command_packet(command)
