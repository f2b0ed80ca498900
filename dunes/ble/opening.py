"""Which radio is used, and why that one; opening it.

The first that is given counts::

    --ble > DUNES_BLE > mesh.ble in the configuration > the running simulated site's > bluez
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dunes.ble.radio import Radio
from dunes.ble.spec import RadioSpec, parse_radio
from dunes.errors import ConfigError, UsageError
from dunes.settings import Settings
from dunes.site import Site

SETTING = "mesh.ble"
OPEN_S = 5.0
"""For an adapter to answer; a dongle on a serial line takes up to 2 s after it was plugged in."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A radio that was chosen.

    Attributes:
        spec: the radio.
        origin: who chose it, e.g. `--ble`, `DUNES_BLE`, a file, `simulated site`, `default`.
        simulated: whether it is the simulated site's.
    """

    spec: RadioSpec
    origin: str
    simulated: bool

    @property
    def name(self) -> str:
        """As people know it."""
        return f"{self.spec} (simulated)" if self.simulated else str(self.spec)


def choose_radio(text: str | None, settings: Settings, site: Site | None) -> Choice:
    """Say which radio is to be used.

    Args:
        text: what `--ble` was given.
        settings: the configuration.
        site: the simulated site, if one is up.

    Raises:
        UsageError: `--ble` names no radio.
        ConfigError: the configuration names none.
    """
    ours = _site_radio(site)
    if text is not None:
        spec, origin = parse_radio(text), "--ble"
    elif settings[SETTING]:
        origin = settings.origin(SETTING)
        try:
            spec = parse_radio(settings[SETTING])
        except UsageError as e:
            raise ConfigError(
                f"{origin}: {SETTING}: {e.message.removeprefix('--ble ')}", hint=e.hint
            ) from e
    elif ours is not None:
        spec, origin = ours, "simulated site"
    else:
        spec, origin = RadioSpec("bluez"), "default"
    return Choice(spec, origin, simulated=spec == ours)


async def open_radio(
    text: str | None,
    *,
    settings: Settings | None = None,
    site: Site | None = None,
    timeout_s: float = OPEN_S,
) -> Radio:
    """Open the radio that is to be used.

    Args:
        text: what `--ble` was given; None: as configured.
        settings: the configuration; default: read now. Then the site is looked for, too.
        site: the simulated site, if one is up; only heeded with `settings`.
        timeout_s: how long the adapter may take to answer.

    Raises:
        UsageError: `--ble` names no radio.
        ConfigError: the configuration names none, or what it needs is not installed.
        NoRadio: there is no such adapter, or it does not work.
        RadioDenied: this user may not use it.
    """
    if settings is None:
        from dunes.settings import load
        from dunes.site import running_site

        settings = load()
        site = running_site(settings.paths)
    choice = choose_radio(text, settings, site)
    if choice.spec.kind == "hci":
        from dunes.ble.hci import open_hci

        return await open_hci(
            choice.spec.target, name=choice.name, simulated=choice.simulated, timeout_s=timeout_s
        )
    from dunes.ble.bluez import open_bluez

    return await open_bluez(choice.spec.target, timeout_s=timeout_s)


@asynccontextmanager
async def using_radio(
    text: str | None,
    *,
    settings: Settings | None = None,
    site: Site | None = None,
    timeout_s: float = OPEN_S,
) -> AsyncIterator[Radio]:
    """Open the radio that is to be used, and close it at the end. As `open_radio`."""
    radio = await open_radio(text, settings=settings, site=site, timeout_s=timeout_s)
    try:
        yield radio
    finally:
        await radio.close()


def _site_radio(site: Site | None) -> RadioSpec | None:
    return (
        RadioSpec("hci", f"tcp-client:{site.radio}") if site is not None and site.radio else None
    )
