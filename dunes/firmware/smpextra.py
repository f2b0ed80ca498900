"""The one SMP request that smpclient does not have: the bootloader's version.

Zephyr answers the query `mode` by itself; what else is asked, an application may answer
(`MGMT_EVT_OP_OS_MGMT_BOOTLOADER_INFO`). Ours answers `release`.

Source: Zephyr documentation, "SMP group 0", "Bootloader information".
"""

from smp import os_management as os
from smp.message import ReadResponse


class VersionAnswer(ReadResponse):
    """`{"release": "2.1.0"}`."""

    _GROUP_ID = os.BootloaderInformationReadResponse._GROUP_ID  # noqa: SLF001 - how smp does it
    _COMMAND_ID = os.BootloaderInformationReadResponse._COMMAND_ID  # noqa: SLF001 - as above

    release: str


class BootloaderVersionRead(os.BootloaderInformationReadRequest):
    """Ask for the bootloader's version, with `query="release"`."""

    _Response = VersionAnswer
    _ErrorV1 = os.OSManagementErrorV1
    _ErrorV2 = os.OSManagementErrorV2
