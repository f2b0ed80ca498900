"""Hold a buffer against what ground stations say of it: receipts kept, receipts asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dunes.buffer.store import Stream
from dunes.buffer.verify import GroundLane
from dunes.crypto.signing import VerifyKey
from dunes.errors import ConfigError, DataError, NotFound
from dunes.paths import Paths
from dunes.secrets import Secret, load_secret
from dunes.settings import Settings
from dunes.site import running_site
from dunes.uplink.receipt import Receipt, parse_receipt
from dunes.uplink.target import API_KEY, Target, find_target, key_path, pinned_key

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class GroundStation:
    """A ground station that is asked what it has.

    Attributes:
        name: as in the profile.
        target: its address and how to trust it.
        key: signs its receipts.
        api_key: opens the door.
        timeout_s: for silence.
    """

    name: str
    target: Target
    key: VerifyKey
    api_key: Secret
    timeout_s: float = TIMEOUT_S

    def lanes(self, stream: Stream) -> Mapping[int, GroundLane]:
        """Ask what it has of a stream; its signature is verified.

        Raises:
            NoAnswer: it does not answer.
            PeerError: what it answers is no receipt of its own.
        """
        import asyncio

        receipt = parse_receipt(asyncio.run(self._ask(stream)))
        _check(receipt, stream, self.key)
        return {no: GroundLane(lane.cum, lane.cum_hash) for no, lane in receipt.lanes.items()}

    async def _ask(self, stream: Stream) -> bytes:
        from dunes.uplink.carriers.https import HttpsCarrier  # httpx: 112 ms of every start

        carrier = HttpsCarrier.open(
            self.target.url,
            self.api_key,
            ca_file=self.target.ca_file,
            tls_sha256=self.target.tls_sha256,
            proxy=self.target.proxy,
            connect_timeout_s=self.timeout_s,
            answer_timeout_s=self.timeout_s,
        )
        try:
            return await carrier.ask(stream.gateway, stream.table, stream.epoch)
        finally:
            await carrier.aclose()


def ground_station(settings: Settings, name: str, timeout_s: float = TIMEOUT_S) -> GroundStation:
    """Find a ground station to compare with.

    Raises:
        NotFound: no destination of that name.
        ConfigError: its key is not known yet, or there is no API key.
    """
    target = find_target(settings, running_site(settings.paths), name)
    key = pinned_key(settings.paths, target)
    if key is None:
        raise ConfigError(
            f"the key of {target.name} is not known here yet",
            hint=f"mcp sync --destination {target.name}, or: mcp init --ground-key FILE",
            code="no-ground-key",
        )
    try:
        api_key = load_secret(settings.paths, API_KEY)
    except NotFound as e:
        raise ConfigError(
            "this gateway has no API key for ground stations",
            hint="mcp init, or: dunes init-starlink --api-key-file FILE",
            code="no-api-key",
        ) from e
    return GroundStation(target.name, target, key, api_key, timeout_s)


def receipt_checker(paths: Paths) -> Callable[[Stream, str, bytes], None]:
    """Make what checks a stored receipt against its destination's pinned key.

    One whose key is not pinned (any more) is not checked.
    """
    keys: dict[str, VerifyKey | None] = {}

    def check(stream: Stream, destination: str, body: bytes) -> None:
        if not body:  # the stream was closed when it went on under another epoch
            return
        if destination not in keys:
            try:
                keys[destination] = VerifyKey.from_spki(key_path(paths, destination).read_bytes())
            except (OSError, DataError):
                keys[destination] = None
        key = keys[destination]
        receipt = parse_receipt(body)
        if key is not None and key.kid == receipt.kid:
            _check(receipt, stream, key)

    return check


def _check(receipt: Receipt, stream: Stream, key: VerifyKey) -> None:
    """Check that a receipt is for this stream and signed by this key."""
    about = (receipt.gateway, receipt.table, receipt.epoch)
    if about != (stream.gateway, stream.table, stream.epoch):
        raise DataError(f"a receipt for {receipt.gateway}/{receipt.table}, another stream")
    receipt.verify(key)
