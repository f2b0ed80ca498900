"""Members of a Configuration Database as this program and others write them. Pure.

Read generously, as exporters differ: small letters, `0x`, numbers where texts should be,
UUIDs without dashes, lists that are left out or null. What cannot be meant is refused with
its place. Written strictly: `dunes.gateway.cdb`.
"""

import re
from dataclasses import dataclass
from typing import Any

from dunes.gateway.members import Members
from dunes.mesh.address import ADDRESS_MAX
from dunes.mesh.keys import KEY_INDEX_MAX
from dunes.mesh.models.config import PERIOD_STEPS_MAX, period_octet

_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,8})")
KEY_DIGITS = 32
STEP_MS = 10
STEPS_MAX = 32
"""Some exporters write the interval as the protocol's steps of 10 ms."""
COUNT_MAX = 8
REPEAT_STEP_MS = 50
RESOLUTIONS_MS = (100, 1000, 10_000, 600_000)
RESOLUTION_SHIFT = 6
PERIOD_MAX_MS = RESOLUTIONS_MS[-1] * PERIOD_STEPS_MAX
MS_PER_S = 1000
NAME_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Fields(Members):
    """An object of a Configuration Database."""

    @classmethod
    def of(cls, given: Members) -> "Fields":
        """Read an object as one of these."""
        return cls(given.content, given.hint, given.code, given.where)

    def hex_number(self, name: str, high: int = ADDRESS_MAX) -> int:
        """Give a number that stands as hexadecimal text, or as a number."""
        found = self.content.get(name)
        if isinstance(found, str) and (digits := _HEX.fullmatch(found.strip())):
            found = int(digits[1], 16)
        if type(found) is not int or not 0 <= found <= high:
            raise self.wrong(name, f"a hexadecimal number up to {high:X}")
        return found

    def sixteen(self, name: str) -> bytes:
        """Give 16 bytes: a key, or a UUID with or without dashes."""
        found = self.content.get(name)
        digits = re.sub(r"[-:{} ]", "", found) if isinstance(found, str) else ""
        try:
            data = bytes.fromhex(digits)
        except ValueError:
            data = b""
        if 2 * len(data) != KEY_DIGITS:
            raise self.wrong(name, f"{KEY_DIGITS} hexadecimal digits")
        return data

    def name(self, name: str) -> str:
        """Give a text for people, shortened; empty if there is none."""
        found = self.content.get(name)
        return found[:NAME_SHOWN] if isinstance(found, str) else ""

    def said(self, name: str) -> bool:
        """Give true or false; missing is false."""
        found = self.content.get(name)
        if found is None or (type(found) is int and found in {0, 1}):
            return bool(found)
        return self.flag(name)

    def word(self, name: str) -> str:
        """Give a word as it stands; empty if there is none."""
        found = self.content.get(name)
        return found if isinstance(found, str) else ""

    def list_of(self, name: str) -> "list[Fields]":
        """Give a list of objects; missing or null is empty."""
        if self.content.get(name) is None:
            return []
        return [Fields.of(each) for each in self.parts(name)]

    def indexes(self, name: str) -> list[int]:
        """Give a list of key indexes."""
        found = self.content.get(name) or []
        if not isinstance(found, list) or not all(
            type(each) is int and 0 <= each <= KEY_INDEX_MAX for each in found
        ):
            raise self.wrong(name, "a list of key indexes")
        return list(found)

    def destinations(self, name: str) -> list[str]:
        """Give a list of addresses: of 4 digits, or 32 for a Label UUID."""
        found = self.content.get(name) or []
        if not isinstance(found, list):
            raise self.wrong(name, "a list of addresses")
        whole = {f"{name}[{at}]": each for at, each in enumerate(found)}
        within = Fields(whole, self.hint, self.code, self.where)
        return [within.destination(each) for each in whole]

    def destination(self, name: str) -> str:
        """Give an address of 4 digits, or of 32 for a Label UUID."""
        found = self.content.get(name)
        if isinstance(found, str) and len(found.strip()) >= KEY_DIGITS:
            return self.sixteen(name).hex().upper()
        return f"{self.hex_number(name):04X}"


def read_transmit(given: Fields) -> tuple[dict[str, int] | None, bool]:
    """Read `networkTransmit` or `relayRetransmit`.

    Returns:
        count and interval in ms, None where both are as good as absent; and whether the
        interval stood in steps.
    """
    count = given.number("count", 0, COUNT_MAX)
    interval = given.number("interval", 0, STEP_MS * STEPS_MAX)
    if not count or not interval:
        return None, False
    in_steps = interval % STEP_MS != 0
    if in_steps:
        if interval > STEPS_MAX:
            raise given.wrong("interval", "a multiple of 10 ms up to 320")
        interval = (interval + 1) * STEP_MS
    return {"count": count, "interval": min(interval, STEP_MS * STEPS_MAX)}, in_steps


def read_model(given: Fields) -> dict[str, Any]:
    """Read a model of an element, normalised."""
    number = given.hex_number("modelId", 0xFFFFFFFF)
    text = given.content.get("modelId")
    wide = number > ADDRESS_MAX or (isinstance(text, str) and len(text.strip()) > len("0x1234"))
    model: dict[str, Any] = {
        "modelId": f"{number:08X}" if wide else f"{number:04X}",
        "bind": given.indexes("bind"),
        "subscribe": given.destinations("subscribe"),
    }
    if given.content.get("publish") is not None:
        model["publish"] = _read_publish(Fields.of(given.part("publish")))
    return model


def _read_publish(given: Fields) -> dict[str, Any]:
    """Read a publication; its period in ms, as the settings of a node have it."""
    publish: dict[str, Any] = {
        "address": given.destination("address"),
        "index": given.number("index", 0, KEY_INDEX_MAX),
        "ttl": given.number("ttl", 0, 0xFF),
        "period": 0,
        "credentials": given.number("credentials", 0, 1) if "credentials" in given.content else 0,
    }
    if isinstance(given.content.get("period"), dict):
        publish["period"] = _read_period(given.part("period"))
    elif given.content.get("period") is not None:  # drafts of the format: in ms
        publish["period"] = given.number("period", 0, PERIOD_MAX_MS)
    if isinstance(given.content.get("retransmit"), dict):
        retransmit = given.part("retransmit")
        interval = retransmit.number("interval", 0, REPEAT_STEP_MS * STEPS_MAX)
        if interval % REPEAT_STEP_MS or not interval:  # as steps
            interval = (min(interval, STEPS_MAX - 1) + 1) * REPEAT_STEP_MS
        count = retransmit.number("count", 0, COUNT_MAX - 1)
        publish["retransmit"] = {"count": count, "interval": interval}
    return publish


def _read_period(given: Members) -> int:
    """Read a publish period, in ms; some exporters wrote the whole of it as its resolution."""
    steps = given.number("numberOfSteps", 0, PERIOD_STEPS_MAX)
    resolution = given.number("resolution", 0, PERIOD_MAX_MS)
    if resolution not in RESOLUTIONS_MS and steps and resolution % steps == 0:
        resolution //= steps
    if steps and resolution not in RESOLUTIONS_MS:
        raise given.wrong("resolution", "100, 1000, 10000 or 600000 (ms)")
    return steps * resolution


def write_publish(kept: dict[str, Any]) -> dict[str, Any]:
    """Give a publication of a node's settings as a Configuration Database has it."""
    octet = period_octet(kept.get("period", 0) / MS_PER_S)
    period = {
        "numberOfSteps": octet & PERIOD_STEPS_MAX,
        "resolution": RESOLUTIONS_MS[octet >> RESOLUTION_SHIFT],
    }
    retransmit = {"count": 0, "interval": REPEAT_STEP_MS}
    return {"credentials": 0, "retransmit": retransmit} | kept | {"period": period}
