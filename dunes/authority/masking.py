"""Put tokens in the place of people in readings, before these are stored; and take them out.

It is done when a reading is taken in, before its frame is packed and sealed: so nobody's
name is in the buffer, in a frame on its way, at a ground station, or in a copy of any of
them. What identifies people is in the policies: `tokenize` of a scope that names the table
(`device`, or kinds whose value is a text), and `people`: devices that are called after
their wearers, in whatever table they report.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dunes.authority.policy import matches
from dunes.authority.pseudokey import load_pseudonyms
from dunes.authority.pseudonym import Pseudonyms, is_token
from dunes.authority.store import load_policies
from dunes.errors import DunesError
from dunes.model import Reading
from dunes.paths import Paths

DEVICE = "device"
CACHE_MAX = 10_000
"""Names whose tokens are remembered; crews are smaller."""
Rewrite = Callable[[Reading], Reading]


@dataclass(slots=True)
class Mask:
    """Replaces people by tokens in the readings of one table.

    Attributes:
        open_pseudonyms: gives what makes the tokens; asked when the first person comes.
        fields: which fields of this table identify people.
        people: patterns of devices that are called after people.
    """

    open_pseudonyms: Callable[[], Pseudonyms]
    fields: frozenset[str]
    people: tuple[str, ...] = ()
    _pseudonyms: Pseudonyms | None = None
    _devices: dict[str, str] = field(default_factory=dict)

    def __call__(self, reading: Reading) -> Reading:
        """Give the reading with tokens."""
        device = self._devices.get(reading.device)
        if device is None:
            device = self._device(reading.device)
        if device != reading.device:
            reading = replace(reading, device=device)
        if reading.kind in self.fields and isinstance(reading.value, str):
            reading = replace(reading, value=self._token(reading.value, reading.kind))
        return reading

    def is_person(self, device: str) -> bool:
        """Tell whether a device's name is to be replaced."""
        return DEVICE in self.fields or any(matches(p, device) for p in self.people)

    def _device(self, name: str) -> str:
        if len(self._devices) >= CACHE_MAX:
            self._devices.clear()
        found = self._token(name, DEVICE) if self.is_person(name) else name
        self._devices[name] = found
        return found

    def _token(self, name: str, where: str) -> str:
        if self._pseudonyms is None:
            self._pseudonyms = self.open_pseudonyms()
        return self._pseudonyms.token(name, where)


def mask_of(paths: Paths, table: str) -> Mask:
    """Give what masks the readings of a table.

    Raises:
        ConfigError: the policies cannot be read: then nothing may be taken in unmasked.
    """
    policies = load_policies(paths)
    return Mask(
        lambda: load_pseudonyms(paths, create=True), policies.tokenized(table), policies.people
    )


def masked_name(paths: Paths, table: str, device: str | None) -> str | None:
    """Give the name under which a device's readings are stored, to look for them."""
    if device is None or not mask_of(paths, table).is_person(device):
        return device
    try:
        return load_pseudonyms(paths).token(device, DEVICE)
    except DunesError:
        return device  # no key: nobody was given a token here


@dataclass(slots=True)
class Reveal:
    """Turns the tokens of this place back in readings, where it can.

    Args:
        paths: where the key is; it is looked for when the first token comes.
    """

    paths: Paths
    _pseudonyms: Pseudonyms | None = None

    def __call__(self, reading: Reading) -> Reading:
        """Give the reading with the device's own name."""
        if not is_token(reading.device):
            return reading
        try:
            if self._pseudonyms is None:
                self._pseudonyms = load_pseudonyms(self.paths)
            return replace(reading, device=self._pseudonyms.name(reading.device, DEVICE))
        except DunesError:
            return reading  # of another place
