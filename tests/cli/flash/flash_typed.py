"""Type `dunes flash-node`, and read what it says."""

import json

BOARD = "nrf52840dk"
BUILT_FOR = "nrf52840dk/nrf52840"


def flash(typed, *argv):
    done = typed("dunes", "flash-node", *argv, "--json")
    report = json.loads(done.stdout) if done.stdout else {}
    return done.returncode, report, done.stderr


def only(report):
    assert 1 == len(report["nodes"])
    return report["nodes"][0]


def udp(where):
    return f"udp:127.0.0.1:{where['udp']}"
