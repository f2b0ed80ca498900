"""Configuration with origins.

Each setting comes from the first place that has it::

    flag > DUNES_* > ./dunes.toml > <config>/config.toml > <config>/profile.json
         > /etc/dunes/config.toml > default

`profile.json` is what `dunes init-starlink`, `mcp init` and their like write;
people write the TOML files. `SETTINGS` lists every key there is.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from dunes.errors import ConfigError, DunesError
from dunes.paths import SYSTEM_CONFIG, Paths, find_paths, write_atomic
from dunes.units import DURATION_S, SIZE_BYTES, parse_quantity


class Kind(NamedTuple):
    """How a setting's text is read, and how that is said to people."""

    name: str
    units: Mapping[str, float] | None = None


TEXT = Kind("text")
COUNT = Kind("whole number")
DURATION = Kind("duration", DURATION_S)
SIZE = Kind("size", SIZE_BYTES)
TABLE = Kind("table")
"""A map of names to maps, as in `[uplink.destinations.earth-gs]`."""


class Setting(NamedTuple):
    """One key of the configuration.

    Attributes:
        kind: how its text is read.
        default: as a file would give it.
        help: one line for people.
        variable: the variable's name, where it is not made of the key.
    """

    kind: Kind
    default: Any
    help: str
    variable: str = ""


SETTINGS: dict[str, Setting] = {
    "gateway.id": Setting(TEXT, "", "Name of this gateway; default: gw- and its key id."),
    "mesh.id": Setting(TEXT, "", "Name of the Bluetooth mesh around the gateway."),
    "mesh.ble": Setting(
        TEXT,
        "",
        "Radio of the mesh: bluez, bluez:hci0 or hci:MONIKER; default: the site's, else bluez.",
        "DUNES_BLE",
    ),
    "mesh.profile": Setting(TEXT, "", "Mesh profile (TOML) that mesh-init uses."),
    "mesh.plan": Setting(TEXT, "", "Plan of torgo that mesh-init follows."),
    "starlink.router_ip": Setting(TEXT, "192.168.1.1", "Address of the Starlink router."),
    "starlink.dish_ip": Setting(TEXT, "192.168.100.1", "Address of the dish."),
    "starlink.transport": Setting(TEXT, "auto", "auto, grpc or grpc-web."),
    "starlink.poll": Setting(DURATION, "5s", "Time between two looks at the link."),
    "starlink.devices": Setting(TABLE, {}, "What init-starlink found, by role."),
    "buffer.url": Setting(TEXT, "", "SQLAlchemy URL; default: SQLite in the data directory."),
    "buffer.cap": Setting(SIZE, "10GB", "Size at which the oldest routine frames give way."),
    "buffer.alert_reserve": Setting(COUNT, 5, "Percent of the cap kept for alerts."),
    "uplink.destination": Setting(TEXT, "", "Destination used where none is named."),
    "uplink.destinations": Setting(
        TABLE, {}, "Ground stations by name: url, tls_sha256, ca_file."
    ),
    "firmware.catalogue": Setting(
        TEXT, "", "A further firmware catalogue: a folder, or an https address."
    ),
    "firmware.tls_sha256": Setting(
        TEXT, "", "The one certificate to trust for it, by its SHA-256, whoever issued it."
    ),
    "site.simulated": Setting(TEXT, "", "Name of the simulated site in use, if any."),
    "profile.mode": Setting(TEXT, "", "Operating mode, e.g. backup-mesh."),
    "profile.failover": Setting(TEXT, "", "Where to work when the link is down, e.g. local."),
    "profile.signal_threshold": Setting(COUNT, 20, "Percent of signal below which to buffer."),
}


class Origin(NamedTuple):
    """A value and where it came from, e.g. `/etc/dunes/config.toml` or `DUNES_MESH_ID`."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, read and checked.

    Attributes:
        values: every key of `SETTINGS` with its value, SI units for quantities.
        paths: where files live.
    """

    values: Mapping[str, Origin]
    paths: Paths

    def __getitem__(self, key: str) -> Any:
        """Give the value of `key`."""
        return self.values[key].value

    def origin(self, key: str) -> str:
        """Say where the value of `key` came from."""
        return self.values[key].origin


def environment_name(key: str) -> str:
    """Name the variable of a setting: `starlink.router_ip` → `DUNES_STARLINK_ROUTER_IP`."""
    setting = SETTINGS.get(key)
    own = setting.variable if setting else ""
    return own or "DUNES_" + key.upper().replace(".", "_")


def profile_path(paths: Paths) -> Path:
    """Say where the machine-written profile is."""
    return paths.config / "profile.json"


def load(
    environ: Mapping[str, str] | None = None,
    *,
    paths: Paths | None = None,
    folder: Path | None = None,
) -> Settings:
    """Read the configuration from all its places.

    Args:
        environ: the environment; default: this process's.
        paths: where files live; default: found from `environ`.
        folder: where `dunes.toml` may be; default: the working directory.

    Raises:
        ConfigError: a file that does not parse, an unknown key, a value of the wrong kind.
    """
    env = os.environ if environ is None else environ
    where = find_paths(env) if paths is None else paths
    found = {
        key: Origin(_convert(key, s.default, "default"), "default") for key, s in SETTINGS.items()
    }
    system = SYSTEM_CONFIG / "config.toml"
    own = where.config / "config.toml"
    layers = [] if own == system else [(system, _read_toml(system))]
    profile, local = profile_path(where), (folder or Path.cwd()) / "dunes.toml"
    layers += [
        (profile, _read_profile(profile)),
        (own, _read_toml(own)),
        (local, _read_toml(local)),
    ]
    for path, content in layers:
        for key, value in _flatten(content, path):
            found[key] = Origin(_convert(key, value, str(path)), str(path))
    for key, setting in SETTINGS.items():
        name = environment_name(key)
        if setting.kind is not TABLE and name in env:
            found[key] = Origin(_convert(key, env[name], name), name)
    return Settings(found, where)


def check_value(key: str, value: Any) -> Any:
    """Read one value of a setting as a file would give it; quantities become SI numbers.

    Raises:
        ConfigError: an unknown key or a value of the wrong kind.
    """
    return _convert(key, value, "new value")


def write_profile(settings: Settings, changes: Mapping[str, Any]) -> list[str]:
    """Merge `changes` into the machine-written profile, atomically.

    Args:
        settings: as loaded; tells the place and what stands above the profile.
        changes: values by key; None removes a key. Quantities as text with a unit.

    Returns:
        The keys that will not show, as a flag, variable or hand-written file outranks them.

    Raises:
        ConfigError: an unknown key or a value of the wrong kind; nothing is written.
    """
    path = profile_path(settings.paths)
    content = dict(_flatten(_read_profile(path), path))
    hidden = []
    for key, value in changes.items():
        if value is None:
            content.pop(key, None)
            continue
        _convert(key, value, "new value")
        content[key] = value
        above = settings.origin(key)
        if above not in {"default", str(path), str(SYSTEM_CONFIG / "config.toml")} or (
            above == str(settings.paths.config / "config.toml")
        ):
            hidden.append(key)
    nested: dict[str, dict[str, Any]] = {}
    for key, value in content.items():
        section, _, name = key.partition(".")
        nested.setdefault(section, {})[name] = value
    write_atomic(path, (json.dumps(nested, indent=2, sort_keys=True) + "\n").encode(), mode=0o644)
    return hidden


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError as e:
        raise ConfigError(f"{path} cannot be read: permission denied", hint=f"ls -l {path}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: {e}", hint=f"mend {path}; dunes config shows all keys") from e


def _read_profile(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as e:
        raise ConfigError(f"{path}: {e}", hint=f"remove {path} and run mcp init again") from e
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: not a JSON object", hint=f"remove {path} and run mcp init again"
        )
    return content


def _flatten(content: Mapping[str, Any], path: Path) -> list[tuple[str, Any]]:
    """Give (dotted key, value) pairs, refusing keys that do not exist."""
    pairs = []
    for section, body in content.items():
        if not isinstance(body, dict):
            raise ConfigError(f"{path}: {section!r} stands outside a section", hint="dunes config")
        for name, value in body.items():
            key = f"{section}.{name}"
            if key not in SETTINGS:
                near = get_close_matches(key, SETTINGS, n=1)
                hint = f"did you mean {near[0]}?" if near else "dunes config shows all keys"
                raise ConfigError(f"{path}: unknown setting {key!r}", hint=hint)
            pairs.append((key, value))
    return pairs


def _convert(key: str, value: Any, origin: str) -> Any:
    """Check a value against its kind; quantities become numbers in SI units."""
    if key not in SETTINGS:
        raise ConfigError(f"{origin}: unknown setting {key!r}", hint="dunes config shows all keys")
    kind = SETTINGS[key].kind
    try:
        if kind.units is not None and isinstance(value, str):
            return parse_quantity(value, kind.units, key)
        if kind is COUNT and not isinstance(value, bool):
            return int(value)
        if kind is TEXT and isinstance(value, str):
            return value
        if kind is TABLE and isinstance(value, dict):
            return value
    except DunesError as e:
        raise ConfigError(f"{origin}: {e.message}", hint=e.hint) from e
    except ValueError as e:
        raise ConfigError(f"{origin}: {key}: {e}", hint=SETTINGS[key].help) from e
    raise ConfigError(f"{origin}: {key} is not a {kind.name}: {value!r}", hint=SETTINGS[key].help)
