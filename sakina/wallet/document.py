"""A wallet as a Markdown document: MAML front matter, lists for people, the content, a signature.

The documented shape of wallets (Agentic Network, Wallet, API Credentials, Blockchain, Vials)
is kept where it has a meaning: the network, the keys, sealed secrets, the transparency log,
identities. There is no balance. The lists are made of the content, which stands as JSON in
a fence; a reader makes them again and compares, so that a change by hand is seen. The last
line is a signature over everything above it.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from typing import Any

from dunes.crypto import names
from dunes.crypto.errors import BadSignature
from dunes.crypto.signing import SigningKey, VerifyKey, is_kid
from dunes.errors import DataError
from dunes.maml.strict_json import JsonFault, read_json
from sakina.wallet.content import Wallet, read_content

OPEN, CLOSE = "## Content\n\n```json\n", "\n```\n"
SIGNATURE = "\n<!-- wallet-signature:"
SIGNATURE_END = " -->\n"
MAX_BYTES = 8 * 1024 * 1024
HEAD = """---
maml_version: "1.0.0"
id: "urn:uuid:{id}"
type: wallet
origin: "agent://{owner}"
permissions: {{read: ["gateway://local"], write: ["gateway://local"], execute: []}}
created_at: "{created_at}"
wallet: {{address: "{id}", public_key: "{kid}"}}
---

# Vial and Wallet Export

## Intent

Identities, grants and receipts of {owner}. Nothing here is money.

## Context

owner: {owner}

## Agentic Network

- Network ID: {network}
- Session Start: {created_at}

## Wallet

- Wallet Key: {kid}
- Address: {id}

## API Credentials
"""


def write_wallet(wallet: Wallet, key: SigningKey) -> bytes:
    """Write and sign a wallet."""
    text = render(wallet).encode("utf-8")
    signature = base64.b64encode(key.sign(text, names.SIGN_WALLET)).decode("ascii")
    last = json.dumps({"kid": key.kid, "sig": signature}, separators=(",", ":"))
    return text + f"{SIGNATURE}{last}{SIGNATURE_END}".encode("ascii")


def read_wallet(data: bytes, find: Callable[[str], VerifyKey | None]) -> tuple[Wallet, str]:
    """Read a wallet; give it and the key id that signed it, empty if that key is not known.

    Args:
        data: the document.
        find: gives a believed key by its id.

    Raises:
        DataError: not a wallet, or its lists are not those of its content.
        BadSignature: a known key did not sign this.
    """
    if len(data) > MAX_BYTES:
        raise DataError(f"a wallet of {len(data)} bytes is too long", code="bad-wallet")
    at = data.rfind(SIGNATURE.encode())
    if at < 0 or not data.endswith(SIGNATURE_END.encode()):
        raise DataError(
            "this is no wallet of ours: its signature is missing",
            hint="sakina wallet-init",
            code="bad-wallet",
        )
    body, last = data[:at], data[at + len(SIGNATURE) : -len(SIGNATURE_END)]
    try:
        text = body.decode("utf-8")
        begin = text.index(OPEN) + len(OPEN)
        wallet = read_content(read_json(text[begin : text.index(CLOSE, begin)]))
        said = read_json(last.decode("ascii"))
        kid, signature = _signature(said)
    except (ValueError, JsonFault, KeyError, TypeError, binascii.Error) as e:
        raise DataError("this is not a wallet, or a damaged one", code="bad-wallet") from e
    if render(wallet) != text:
        raise DataError(
            "the wallet was changed by hand: its lists are not those of its content",
            hint="sakina wallet-add changes it",
            code="wallet-changed",
        )
    key = find(kid)
    if key is None:
        return wallet, ""
    if kid != wallet.kid:
        raise BadSignature("the wallet is signed by another key than its owner's")
    key.verify(signature, body, names.SIGN_WALLET)
    return wallet, kid


def _signature(said: Any) -> tuple[str, bytes]:
    if not is_kid(said["kid"]):
        raise ValueError("kid")
    return said["kid"], base64.b64decode(said["sig"], validate=True)


def render(wallet: Wallet) -> str:
    """Write a wallet up to its signature."""
    return "\n".join(_lines(wallet)) + "\n"


def _lines(wallet: Wallet) -> Iterator[str]:
    yield HEAD.format(
        id=wallet.id,
        owner=wallet.owner,
        kid=wallet.kid,
        network=wallet.network or "-",
        created_at=wallet.created_at,
    )
    yield from _or_none(
        f"- {secret.name}: sealed to key {secret.kid}" for secret in wallet.secrets
    )
    yield f"\n## Blockchain\n\n- Blocks: {wallet.blocks}\n- Last Hash: {wallet.last_hash or '-'}"
    yield "\n## Vials\n"
    for each in wallet.identities:
        yield f"### Vial Agent: {each.name}\n\n- Key: {each.kid}"
        yield f"- Roles: {', '.join(each.roles) or '-'}"
        yield f"- Reputation: {each.reputation:.2f}\n- Added: {each.added_at}\n"
    yield "## Grants\n"
    yield from _or_none(
        f"- {each.subject}: {', '.join(each.scopes)}, until {each.until or 'it is taken back'}"
        for each in wallet.grants
    )
    yield "\n## Receipts\n"
    yield from _or_none(
        f"- {each.file}: of {each.source}, {each.issued_at}, sha256 {each.sha256}"
        for each in wallet.receipts
    )
    yield "\n## History\n"
    yield f"- {wallet.created_at}: [CREATE] Wallet begun by `gateway://{wallet.owner}`.\n"
    yield OPEN + json.dumps(wallet.encode(), indent=1, ensure_ascii=False) + "\n```"


def _or_none(lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    yield from found or ["- none"]
