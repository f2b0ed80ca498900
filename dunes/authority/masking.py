"""Put tokens in the place of people in readings, before these are stored; and take them out.

It is done when a reading is taken in, before its frame is packed and sealed: so nobody's
name is in the buffer, in a frame on its way, at a ground station, or in a copy of any of
them. Which fields identify people is in the policies: `tokenize` of a scope that names the
table. `device` is the device's name (a wearable is called after its wearer); other names
are kinds whose value is a text.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

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
        pseudonyms: makes the tokens.
        fields: which fields identify people.
    """

    pseudonyms: Pseudonyms
    fields: frozenset[str]
    _known: dict[tuple[str, str], str] = field(default_factory=dict)

    def __call__(self, reading: Reading) -> Reading:
        """Give the reading with tokens."""
        if DEVICE in self.fields:
            reading = replace(reading, device=self._token(reading.device, DEVICE))
        if reading.kind in self.fields and isinstance(reading.value, str):
            reading = replace(reading, value=self._token(reading.value, reading.kind))
        return reading

    def _token(self, name: str, where: str) -> str:
        key = (name, where)
        if (found := self._known.get(key)) is None:
            if len(self._known) >= CACHE_MAX:
                self._known.clear()
            found = self._known[key] = self.pseudonyms.token(name, where)
        return found


def mask_of(paths: Paths, table: str) -> Mask | None:
    """Give what masks the readings of a table; None where nobody is identified.

    Raises:
        ConfigError: the policies cannot be read: then nothing may be taken in unmasked.
        DataError: the key is damaged.
    """
    fields = load_policies(paths).tokenized(table)
    return Mask(load_pseudonyms(paths, create=True), fields) if fields else None


def masked_name(paths: Paths, table: str, device: str | None) -> str | None:
    """Give the name under which a device's readings are stored, to look for them."""
    if device is None or DEVICE not in load_policies(paths).tokenized(table):
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
