"""Where an address leads: to the real network, or to the simulated site.

While the site runs, its process holds a lock on `site.lock` and describes itself
in `site.json` beside it. Every command asks here; none needs to know how the
site is made. The lock, not a process number, says whether the site lives: the
kernel drops it with the process, however that ends.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from dunes.errors import NotFound, StorageError
from dunes.paths import Paths


class Endpoint(NamedTuple):
    """An address to connect to, and whether what answers there is simulated."""

    host: str
    port: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class Site:
    """A simulated site that is up.

    Attributes:
        name: e.g. `lunar`.
        endpoints: `host:port` as people type it → `host:port` on loopback.
        destinations: ground stations by name: `url`, `tls_sha256`.
        telemetry: growing JSON Lines files of the site's sensors, by table.
        control_url: the site's own control endpoint (loopback HTTP).
        control_token: what that endpoint asks for.
        ground_data: the simulated ground station's data directory.
        pid: the site's process.
        speed: how many seconds pass on the site in one of ours.
        radio: `127.0.0.1:PORT` where a Bluetooth controller on the site's air speaks HCI (H4
            over TCP); empty where the site has none.
        identity: its identity provider: `issuer` (URL), `service_account` (a file with a client
            id and a secret); empty where the site has none.
        firmware: the folder of its firmware catalogue, for its virtual nodes; empty where the
            site has none.
    """

    name: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    destinations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    telemetry: Mapping[str, str] = field(default_factory=dict)
    control_url: str = ""
    control_token: str = field(default="", repr=False)
    ground_data: str = ""
    pid: int = 0
    speed: float = 1.0
    radio: str = ""
    identity: Mapping[str, str] = field(default_factory=dict)
    firmware: str = ""


def site_directory(paths: Paths) -> Path:
    """Say where the simulated site keeps its files."""
    return paths.state / "sim"


def running_site(paths: Paths) -> Site | None:
    """Give the simulated site of this installation if it is up.

    Raises:
        StorageError: its description cannot be read.
    """
    directory = site_directory(paths)
    try:
        lock = os.open(directory / "site.lock", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass  # held by the site: it lives
    else:
        return None
    finally:
        os.close(lock)
    try:
        return Site(**json.loads((directory / "site.json").read_bytes()))
    except FileNotFoundError:
        return None  # still starting
    except (ValueError, TypeError) as e:
        raise StorageError(f"{directory / 'site.json'}: {e}", hint="dunes sim down") from e


def need_site(paths: Paths) -> Site:
    """Give the running site.

    Raises:
        NotFound: none is up.
    """
    site = running_site(paths)
    if site is None:
        raise NotFound("no simulated site is up", hint="dunes sim up", code="no-site")
    return site


def resolve(host: str, port: int, site: Site | None) -> Endpoint:
    """Say where a connection to `host:port` has to go."""
    if site is not None and (target := site.endpoints.get(f"{host}:{port}")):
        there, _, number = target.rpartition(":")
        return Endpoint(there, int(number), simulated=True)
    return Endpoint(host, port, simulated=False)
