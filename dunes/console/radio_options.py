"""The option of every command that uses the radio."""

from typing import Annotated

import typer

Ble = Annotated[
    str | None,
    typer.Option(
        "--ble",
        metavar="RADIO",
        help="Radio to use: bluez, bluez:hci0, or hci: and a Bumble moniker, e.g. hci:usb:0.",
    ),
]
