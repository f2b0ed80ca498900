"""What this place knows of devices before it asks them: keys, readings, names."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dunes.authority.jose import key_of
from dunes.authority.masking import Reveal
from dunes.authority.policy import ANY, Scope, matches_any
from dunes.buffer.keyring import Keyring
from dunes.buffer.query import Query, query
from dunes.buffer.store import open_buffer
from dunes.clock import US_PER_S
from dunes.crypto.errors import BadKeyFile, UnknownKey
from dunes.crypto.signing import VerifyKey
from dunes.crypto.truststore import TrustStore
from dunes.errors import NotFound, StorageError
from dunes.settings import Settings
from dunes.site import Site, site_directory

SITE_DEVICES = "devices.json"


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A device's key, and how it comes to be believed.

    Attributes:
        key: None if none is known.
        roles: what the trust store believes it for.
        believed: it counts now.
        text: a sentence.
        simulated: it is one of a simulated site.
    """

    key: VerifyKey | None
    roles: frozenset[str]
    believed: bool
    text: str
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class SiteDevices:
    """The devices of the running simulated site, by name: table and key."""

    tables: dict[str, str] = field(default_factory=dict)
    keys: dict[str, VerifyKey] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, site: Site | None) -> "SiteDevices":
        """Read the site's list; empty where no site is up.

        Raises:
            StorageError: it cannot be read.
        """
        if site is None:
            return cls()
        path = site_directory(settings.paths) / site.name / SITE_DEVICES
        try:
            body: dict[str, Any] = json.loads(path.read_bytes())
            rows = body["devices"].items()
            return cls(
                {name: row["table"] for name, row in rows},
                {name: key_of(row["jwk"]) for name, row in rows},
            )
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, BadKeyFile) as e:
            raise StorageError(f"{path} cannot be read: {e}", hint="dunes sim down") from e


def device_key(device: str, store: TrustStore, site: SiteDevices, now_us: int) -> DeviceKey:
    """Find the key that is believed as a device's."""
    if (key := site.keys.get(device)) is not None:
        text = f"key {key.kid} of the simulated site"
        return DeviceKey(key, frozenset({"device"}), believed=True, text=text, simulated=True)
    try:
        entry = store.device(device)
    except UnknownKey:
        return DeviceKey(None, frozenset(), believed=False, text="no key is trusted as its")
    roles = frozenset(map(str, entry.roles))
    if entry.revoked:
        text = f"key {entry.kid} was revoked here: {entry.revoked}"
        return DeviceKey(entry.key, roles, believed=False, text=text)
    if not entry.believed(now_us):
        return DeviceKey(entry.key, roles, believed=False, text=f"key {entry.kid} has expired")
    return DeviceKey(entry.key, roles, believed=True, text=f"key {entry.kid} is trusted here")


@dataclass(slots=True)
class LastReadings:
    """When each device of a scope was last heard, as far as it was lately.

    Attributes:
        at_us: by device's name; people's names only where this place can turn tokens back.
        simulated: of those, whose readings a simulated site made.
        unreadable: frames that could not be opened.
    """

    at_us: dict[str, int] = field(default_factory=dict)
    simulated: set[str] = field(default_factory=set)
    unreadable: int = 0


def last_readings(settings: Settings, scope: Scope, now_us: int) -> LastReadings:
    """Look through the gateway's buffer for the readings of a scope's devices."""
    found = LastReadings()
    try:
        buffer = open_buffer(settings, create=False)
    except NotFound:
        return found
    with buffer:
        keys = Keyring.load(settings)
        reveal = Reveal(settings.paths)
        since = Query(since_us=now_us - round(scope.fresh_s * US_PER_S))
        for table in buffer.tables():
            if scope.tables == ANY or not matches_any(scope.tables, table):
                continue
            answer = query(buffer, table, since, keys.opener_for(buffer))
            for each in answer.readings:
                reading = reveal(each.reading)
                found.at_us[reading.device] = max(
                    found.at_us.get(reading.device, 0), reading.ts_us
                )
                if reading.simulated:
                    found.simulated.add(reading.device)
            found.unreadable += answer.unreadable
    return found


def devices_of_scope(
    scope: Scope, site: SiteDevices, heard: Iterable[str], enrolled: Iterable[str]
) -> list[str]:
    """Name the devices that a scope is about: the site's, those heard lately, and enrolled ones.

    Enrolled devices are taken in only where a scope names devices: else every key of
    every device would be asked for every scope.
    """
    names = {
        name
        for name, table in site.tables.items()
        if scope.tables != ANY and matches_any(scope.tables, table)
    }
    names |= set(heard)
    if scope.devices != ANY:
        names |= set(enrolled)
    return sorted(name for name in names if matches_any(scope.devices, name))
