"""What a gateway and a ground station have to know of each other before anything is sent."""

import asyncio
from dataclasses import dataclass

from dunes.buffer.keyring import Keyring
from dunes.buffer.store import Buffer
from dunes.clock import Clock
from dunes.crypto.identity import Identity
from dunes.crypto.signing import VerifyKey
from dunes.crypto.truststore import TrustStore
from dunes.errors import DunesError, PeerError
from dunes.settings import Settings
from dunes.uplink.acquaint import request_station, seals_to, trust_station
from dunes.uplink.carriers import Busy
from dunes.uplink.carriers.https import HttpsCarrier
from dunes.uplink.forget import forget_destination, receipt_kids
from dunes.uplink.succession import encode_chain, own_chain
from dunes.uplink.target import SITE, Target, pin_key


@dataclass(slots=True)
class Greeting:
    """A gateway that is about to send a table to a ground station.

    Attributes:
        settings: as loaded.
        buffer: opened with the gateway's name.
        table: folded name.
        target: where to.
        identity: the gateway's.
        timeout_s: silence after which the link counts as down.
        notes: what a person should know is added here.
        clock: for records.
    """

    settings: Settings
    buffer: Buffer
    table: str
    target: Target
    identity: Identity
    timeout_s: float
    notes: list[str]
    clock: Clock

    async def pin(self) -> VerifyKey:
        """Ask the ground station for its key, pin it and say so."""
        key = (await request_station(self.target, self.timeout_s)).key
        path = pin_key(self.settings.paths, self.target.name, key)
        self.notes.append(
            f"first contact: {self.target.name} signs its receipts with key {key.kid}; pinned in "
            f"{path}. Compare it with what mcp ground-station serve prints"
        )
        return key

    async def let_read(self, key: VerifyKey, *, watch: bool) -> None:
        """See to it that the ground station can open what is sealed here, old and new.

        Raises:
            Busy: it asks for more patience than there is.
            Untrusted: its key was revoked here.
        """
        paths, now_us = self.settings.paths, self.clock.unix_us()
        known = seals_to(paths, key.kid, now_us)
        if not known and not await self._learn_document(key, now_us, watch):
            self.notes.append(
                f"{self.target.name} gave no key to seal to: it keeps and verifies what it gets, "
                "but cannot read it; mcp init --ground-key station.pub.maml"
            )
        trusted = TrustStore.at(paths)
        granted = Keyring(self.identity, trusted, {}).grant(self.buffer, self.table)
        if granted:
            self.notes.append(
                f"{self.target.name} may read from now on what was sealed before it was known"
            )

    def forget_others(self, key: VerifyKey) -> None:
        """Forget what was acknowledged by a station that this one is not.

        A station with another key is another one, or one that begins anew; at worst it
        is told what it has already. And what a simulated one acknowledged is no reason
        to keep or delete anything once readings go to a real one.
        """
        kids = receipt_kids(self.buffer, self.target.name)
        if kids and key.kid not in kids:
            forget_destination(self.buffer, self.target.name)
            self.notes.append(
                f"{self.target.name} has another key than before ({key.kid}): what the earlier "
                "one acknowledged, and was deleted here, this one will not get from here"
            )
        if not self.target.simulated:
            for name, entry in self.settings["uplink.destinations"].items():
                if SITE in entry and receipt_kids(self.buffer, name):
                    forget_destination(self.buffer, name)
                    self.notes.append(f"what the simulated {name} acknowledged no longer counts")

    async def introduce(self, carrier: HttpsCarrier, refused: PeerError) -> None:
        """Show the ground station that this gateway's key follows the one it knows.

        Raises:
            PeerError: it knows none of our keys, or we have had only this one.
        """
        identity = self.identity
        chain = own_chain(self.settings.paths, identity) if identity.document else []
        if len(chain) <= 1:
            raise refused
        await carrier.introduce(self.buffer.gateway, encode_chain(chain))
        self.notes.append(
            f"{self.target.name} was shown that key {identity.kid} follows the enrolled one"
        )

    async def _learn_document(self, key: VerifyKey, now_us: int, watch: bool) -> bool:
        """Ask for the station's key document; delivery does not wait for one that fails.

        But it waits where the station asks for time: the next request comes no sooner.
        """
        try:
            station = await request_station(self.target, self.timeout_s)
        except Busy as e:
            if (e.retry_after_s or 0.0) > self.timeout_s and not watch:
                raise
            await asyncio.sleep(e.retry_after_s or 0.0)
            return False
        except DunesError:
            return False  # if the link or the peer is in trouble, the sync itself will say so
        return station.key.kid == key.kid and trust_station(self.settings.paths, station, now_us)
