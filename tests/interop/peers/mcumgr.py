"""Update a node by mcumgr-toolkit: where it listens on stdin as JSON, what was seen on stdout."""

import json
import sys
import time
from pathlib import Path

import mcumgr_toolkit as toolkit

given = json.load(sys.stdin)
image = Path(given["image"]).read_bytes()


def connect(way):
    if way == "udp":
        return toolkit.MCUmgrClient.udp("127.0.0.1", given["udp"], 3000)
    return toolkit.MCUmgrClient.serial(given["pty"], timeout_ms=3000)


def slots(client):
    return [
        [state.slot, state.version, state.active, state.confirmed]
        for state in client.image_get_state()
    ]


def await_restart(client):
    """Wait until the node answers again."""
    for _ in range(50):
        time.sleep(0.1)
        try:
            client.os_echo("back?")
        except RuntimeError:
            continue
        return
    raise SystemExit("the node has not come back")


client = connect(given["way"])
client.check_connection()
seen = {
    "echo": client.os_echo("hello"),
    "info": client.os_application_info("in"),
    "bootloader": client.os_bootloader_info()["name"],
    "parsed": str(toolkit.mcuboot_get_image_info(image)),
    "before": slots(client),
}
client.use_auto_frame_size()
client.firmware_update(image)
time.sleep(0.5)
await_restart(client)
seen["trial"] = slots(client)
if given["confirm"]:
    client.image_set_state(confirm=True)
client.os_system_reset()
time.sleep(0.5)
await_restart(client)
seen["after"] = slots(client)
json.dump(seen, sys.stdout)
