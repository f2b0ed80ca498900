"""The wallet: what it holds, how it is signed, and what it never shows."""

import json
import os

import pytest

from dunes.authority.policy import Document, Grant
from dunes.authority.record import Recorder
from dunes.authority.store import save_policies
from dunes.clock import SYSTEM_CLOCK
from dunes.crypto import entropy
from dunes.crypto.errors import BadSignature, KeyExists, NotARecipient, Untrusted
from dunes.crypto.identity import create_identity, make_keys
from dunes.crypto.keywriter import RANDOM_BYTES, Description, write_key_document
from dunes.crypto.truststore import Role, TrustStore
from dunes.errors import DataError, NotFound, UsageError
from dunes.maml import parse, validate
from dunes.paths import find_paths
from dunes.secrets import Secret
from sakina.wallet.content import read_content
from sakina.wallet.document import read_wallet, render, write_wallet
from sakina.wallet.foreign import Foreign, read_foreign
from sakina.wallet.keeping import FILE, Keeper, add

PLANTED = "correct-horse-battery-staple"


@pytest.fixture
def kept(tmp_path):
    paths = find_paths({"DUNES_HOME": str(tmp_path / "dunes")})
    keeper = Keeper(paths, paths.config / FILE, create_identity(paths, "gw-1"))
    keeper.begin("lunar-ble-001", force=False)
    return keeper


def trust(kept, name="rover-001"):
    pair = make_keys(name, entropy.mix(None, os.urandom(entropy.OS_BYTES)))
    document = write_key_document(
        pair, Description("device", "a test", SYSTEM_CLOCK.unix_us()), os.urandom(RANDOM_BYTES)
    )
    TrustStore.at(kept.paths).add(document, [Role.DEVICE], SYSTEM_CLOCK.unix_us())
    return pair


def full(kept):
    pair = trust(kept)
    pen = Recorder(kept.paths, kept.identity)
    save_policies(
        kept.paths, Document(1, grants=(Grant("device:rover-001", ("rover-data",)),)), "x", pen
    )
    receipt = kept.paths.config / "policies.mu"
    wallet = add(
        kept.load(),
        {
            "identities": [kept.identity_of("rover-001")],
            "grants": kept.grants_of("device:rover-001"),
            "receipts": [kept.receipt_of(receipt)],
            "secrets": [kept.seal("api-key", Secret(PLANTED))],
        },
    )
    return pair, kept.save(wallet)


def test_a_new_wallet_holds_its_owner_and_is_signed(kept):
    wallet = kept.load()
    assert ["gw-1"] == [each.name for each in wallet.identities]
    assert (kept.identity.kid, "lunar-ble-001") == (wallet.kid, wallet.network)
    assert 0o600 == kept.path.stat().st_mode & 0o777
    with pytest.raises(KeyExists):
        kept.begin("", force=False)


def test_it_is_a_valid_document_of_the_core_profile(kept):
    full(kept)
    found = validate(parse(kept.path.read_bytes()), profile="core")
    assert ([], []) == (list(found.errors), list(found.warnings))


def test_what_goes_in_comes_out(kept):
    pair, wallet = full(kept)
    again = kept.load()
    assert wallet == again
    assert pair.kid == again.identities[1].kid
    assert ("rover-data",) == again.grants[0].scopes
    assert ("policies.mu", "policies.json", 0) == (
        again.receipts[0].file,
        again.receipts[0].source,
        again.receipts[0].log_index,
    )
    assert 1 == again.blocks


def test_putting_the_same_in_twice_keeps_it_once(kept):
    _, wallet = full(kept)
    again = add(wallet, {"identities": [kept.identity_of("rover-001")]})
    assert 2 == len(again.identities)


def test_a_secret_is_in_no_line_of_the_document_and_opens_for_its_owner(kept):
    _, wallet = full(kept)
    assert PLANTED.encode() not in kept.path.read_bytes()
    assert PLANTED not in repr(wallet)
    assert Secret(PLANTED) == kept.unseal(wallet, "api-key")
    with pytest.raises(NotFound, match="no secret 'other'"):
        kept.unseal(wallet, "other")


def test_a_secret_does_not_open_for_another_place(kept, tmp_path):
    _, wallet = full(kept)
    there = find_paths({"DUNES_HOME": str(tmp_path / "there")})
    other = Keeper(there, there.config / FILE, create_identity(there))
    with pytest.raises((NotARecipient, Untrusted)):
        other.unseal(wallet, "api-key")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("- Reputation: 0.50", "- Reputation: 0.99"),
        ("rover-data, until", "mesh-control, until"),
        ("Nothing here is money", "Here are 100 coins"),
        ('"reputation": 0.5', '"reputation": 0.9'),
        ("## Blockchain\n\n- Blocks: 1", "## Blockchain\n\n- Blocks: 9"),
    ],
)
def test_a_change_by_hand_is_seen(kept, old, new):
    full(kept)
    text = kept.path.read_text()
    assert old in text
    kept.path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match="changed by hand"):
        kept.load()


def test_a_change_that_is_consistent_but_not_signed_is_seen(kept):
    _, wallet = full(kept)
    text = kept.path.read_text()
    changed = read_content(
        json.loads(json.dumps(wallet.encode()).replace("rover-data", "telemetry"))
    )
    kept.path.write_text(text.replace(render(wallet), render(changed)))
    with pytest.raises(BadSignature):
        kept.load()


def test_a_wallet_that_another_key_signed_is_not_taken_for_ours(kept, tmp_path):
    _, wallet = full(kept)
    there = find_paths({"DUNES_HOME": str(tmp_path / "there")})
    other = create_identity(there)
    kept.path.write_bytes(write_wallet(wallet, other.signing))
    with pytest.raises(DataError, match="signed by another place"):
        kept.load()
    with pytest.raises(BadSignature, match="another key than its owner's"):
        read_wallet(kept.path.read_bytes(), {other.kid: other.signing.public}.get)


@pytest.mark.parametrize(
    "data", [b"", b"# Wallet\n", b"\n<!-- wallet-signature:{} -->\n", b"\xff" * 99]
)
def test_what_is_no_wallet_is_refused(data):
    with pytest.raises(DataError):
        read_wallet(data, lambda _: None)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "x"}, {"blocks": -1}, {"identities": {}}, {"owner": "a\nb"}, {"more": "x"},
        {"secrets": [{"name": "../x", "kid": "0" * 32, "box": "", "added_at": ""}]},
    ],
)  # fmt: skip
def test_content_that_cannot_be_is_refused(kept, change):
    body = json.loads(json.dumps(kept.load().encode())) | change
    with pytest.raises(DataError):
        read_content(body)


def test_an_identity_whose_key_is_not_the_named_one_is_refused(kept):
    body = json.loads(json.dumps(kept.load().encode()))
    body["identities"][0]["kid"] = "0" * 32
    with pytest.raises(DataError, match="not the one it names"):
        read_content(body)


def test_a_key_that_is_believed_no_longer_does_not_go_in(kept):
    pair = trust(kept)
    TrustStore.at(kept.paths).revoke(pair.kid, "lost")
    with pytest.raises(DataError, match="believed no longer"):
        kept.identity_of("rover-001")
    with pytest.raises(NotFound):
        kept.identity_of("nobody")


def test_there_is_no_balance_and_no_currency(kept):
    full(kept)
    text = kept.path.read_text().lower()
    assert "balance" not in text
    assert "$" not in text


FOREIGN = f"""# WebXOS Vial and Wallet Export

## Agentic Network
- Network ID: 7f3c-lunar
- Session Start: 2025-08-01T00:00:00Z

## Wallet
- Wallet Key: abc
- Session Balance: 72.0000 $WEBXOS

## API Credentials
- Key: key-1
- Secret: {PLANTED}

## Vials
# Vial Agent: vial1
```python
import os; os.system("touch /tmp/owned")
```
# Vial Agent: vial2
"""


def test_of_a_foreign_wallet_names_are_taken_and_secrets_and_balances_are_not():
    with pytest.raises(UsageError, match="1 secrets stand in it in clear") as e:
        read_foreign(FOREIGN.encode(), drop_secrets=False)
    assert PLANTED not in str(e.value)
    found = read_foreign(FOREIGN.encode(), drop_secrets=True)
    assert Foreign("7f3c-lunar", ("vial1", "vial2"), 1, balance=True) == found
    assert PLANTED not in repr(found)


@pytest.mark.parametrize("data", [b"", b"# Notes\n", b"\xff", b"x" * 2_000_000])
def test_what_is_no_foreign_wallet_is_refused(data):
    with pytest.raises(DataError):
        read_foreign(data, drop_secrets=True)


def test_a_networks_name_that_cannot_be_one_is_left_out():
    text = FOREIGN.replace("7f3c-lunar", "a b; rm -rf /")
    assert "" == read_foreign(text.encode(), drop_secrets=True).network
