"""Wallets of the documented shape that others wrote: what of them can be taken over. Pure.

Their secrets stand in clear, their vials are names without keys, their balance is not
ours to judge. Nothing in them is run, and no secret is given on.
"""

import re
from dataclasses import dataclass

from dunes.errors import DataError, UsageError

TITLE = re.compile(r"^# .*Wallet Export\s*$", re.MULTILINE)
_LINE = re.compile(
    r"^\s*[-*]?\s*\**(Network ID|Secret|Session Balance)\**\s*:\s*(.*?)\s*$", re.MULTILINE
)
_AGENT = re.compile(r"^#{1,3} Vial Agent:\s*(.{1,64}?)\s*$", re.MULTILINE)
NETWORK = re.compile(r"[A-Za-z0-9._-]{1,64}")
AGENTS_MAX = 100
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a foreign wallet says.

    Attributes:
        network: its network's name; empty if there is none that could be one.
        agents: names of its vials.
        secrets: how many secrets stand in it in clear.
        balance: it counts something as money.
    """

    network: str
    agents: tuple[str, ...]
    secrets: int
    balance: bool


def read_foreign(data: bytes, *, drop_secrets: bool) -> Foreign:
    """Read a foreign wallet.

    Raises:
        DataError: it is none.
        UsageError: secrets stand in it, and nobody said to drop them.
    """
    try:
        text = data.decode("utf-8") if len(data) <= MAX_BYTES else ""
    except UnicodeDecodeError as e:
        raise DataError("this is not text", code="bad-wallet") from e
    if TITLE.search(text) is None:
        raise DataError("this has no title that ends in Wallet Export", code="bad-wallet")
    found: dict[str, list[str]] = {}
    for name, value in _LINE.findall(text):
        found.setdefault(name, []).append(value)
    secrets = sum(bool(value) for value in found.get("Secret", ()))
    if secrets and not drop_secrets:
        raise UsageError(
            f"{secrets} secrets stand in it in clear; they are not taken over",
            hint="--drop-secrets; change them where they are used, and wallet-add --seal NAME",
        )
    network = next(iter(found.get("Network ID", ())), "")
    return Foreign(
        network if NETWORK.fullmatch(network) else "",
        tuple(_AGENT.findall(text)[:AGENTS_MAX]),
        secrets,
        "Session Balance" in found,
    )
