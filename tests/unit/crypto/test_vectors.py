"""Published vectors, through the room's own code where it has any, else its engine.

The files say where they come from (tests/vectors/crypto/README.md).
"""

import hashlib
import hmac
import json
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV, AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from dunes.crypto.errors import BadKeyFile, BadSignature, WrongPassphrase
from dunes.crypto.pkcs8 import unlock
from dunes.crypto.signing import SigningKey, VerifyKey
from dunes.crypto.xwing import RecipientKey
from dunes.errors import LocalError
from dunes.maml.pem import pem_blocks

VECTORS = Path(__file__).parents[2] / "vectors" / "crypto"
KID = "0" * 32
h = bytes.fromhex


def load(name):
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def cases(name):
    """Give (group, case) pairs, each with a readable id."""
    return [
        pytest.param(group, case, id=f"{case.get('tcId')}-{case.get('comment', '')[:40]}")
        for group in load(name)["testGroups"]
        for case in group["tests"]
    ]


@pytest.mark.parametrize(("group", "case"), cases("acvp_mldsa_keygen.json"))
def test_acvp_keys_come_from_their_seeds(group, case):
    key = SigningKey.from_seed(h(case["seed"]), group["parameterSet"])
    assert case["pk_sha256"].lower() == hashlib.sha256(key.public.raw).hexdigest()


@pytest.mark.parametrize(("group", "case"), cases("acvp_mldsa65_sigver_internal.json"))
def test_acvp_internal_signatures(group, case):
    pk = h(group["pk"])
    message = hashlib.shake_256(pk).digest(64) + h(case["message"])
    mu = hashlib.shake_256(message).digest(64)
    key = VerifyKey.from_raw(pk)
    passed = True
    try:
        key.verify_mu(h(case["signature"]), mu)
    except BadSignature:
        passed = False
    assert case["testPassed"] == passed


@pytest.mark.parametrize(("group", "case"), cases("wycheproof_mldsa65_verify.json"))
def test_wycheproof_signatures(group, case):
    result = "invalid"
    with suppress(BadSignature, BadKeyFile, LocalError):
        key = VerifyKey.from_raw(h(group["publicKey"]))
        key.verify(h(case["sig"]), h(case["msg"]), h(case.get("ctx", "")))
        result = "valid"
    assert case["result"] == result


@pytest.mark.parametrize(("group", "case"), cases("wycheproof_mldsa65_sign_seed.json"))
def test_wycheproof_seeds_and_signatures(group, case):
    seed = h(group["privateSeed"])
    if len(seed) != 32 or len(h(case.get("ctx", ""))) > 255:
        with pytest.raises(LocalError):
            SigningKey.from_seed(seed).sign(h(case["msg"]), h(case.get("ctx", "")))
        return
    key = SigningKey.from_seed(seed)
    assert group["publicKey_sha256"] == hashlib.sha256(key.public.raw).hexdigest()
    assert h(group["privateKeyPkcs8"]) == key.pkcs8_der()
    key.public.verify(h(case["sig"]), h(case["msg"]), h(case.get("ctx", "")))


@pytest.mark.parametrize(("_group", "case"), cases("wycheproof_mlkem768.json"))
def test_wycheproof_mlkem_decapsulation(_group, case):
    try:
        found = mlkem.MLKEM768PrivateKey.from_seed_bytes(h(case["seed"])).decapsulate(h(case["c"]))
    except ValueError:
        assert "invalid" == case["result"]
    else:
        assert (case["result"], h(case["K"])) == ("valid", found)


@pytest.mark.parametrize(("_group", "case"), cases("wycheproof_mlkem768_bad_ek.json"))
def test_wycheproof_bad_mlkem_public_keys(_group, case):
    with pytest.raises(ValueError, match=r"."):
        mlkem.MLKEM768PublicKey.from_public_bytes(h(case["ek"]))


@pytest.mark.parametrize(("_group", "case"), cases("wycheproof_mlkem768_keygen.json"))
def test_wycheproof_mlkem_keys_come_from_their_seeds(_group, case):
    key = RecipientKey.from_seeds(KID, h(case["seed"]), bytes(31) + b"\x01")
    assert case["ek_sha256"] == hashlib.sha256(key.public.raw[:1184]).hexdigest()


@pytest.mark.parametrize(
    ("_group", "case", "aead"),
    [
        pytest.param(*p.values, aead, id=f"{aead.__name__}-{p.id}")
        for name, aead in (("aes_gcm", AESGCM), ("aes_gcm_siv", AESGCMSIV))
        for p in cases(f"wycheproof_{name}.json")
    ],
)
def test_wycheproof_aead(_group, case, aead):
    cipher, sealed = aead(h(case["key"])), h(case["ct"]) + h(case["tag"])
    if case["result"] == "valid":
        assert sealed == cipher.encrypt(h(case["iv"]), h(case["msg"]), h(case["aad"]))
        assert h(case["msg"]) == cipher.decrypt(h(case["iv"]), sealed, h(case["aad"]))
    else:
        with pytest.raises(InvalidTag):
            cipher.decrypt(h(case["iv"]), sealed, h(case["aad"]))


@pytest.mark.parametrize(("_group", "case"), cases("wycheproof_aead_aes_siv_cmac.json"))
def test_wycheproof_aes_siv(_group, case):
    cipher, sealed = AESSIV(h(case["key"])), h(case["tag"]) + h(case["ct"])
    bound = [h(case["aad"]), h(case["iv"])]
    if case["result"] == "valid":
        if case["msg"]:
            assert sealed == cipher.encrypt(h(case["msg"]), bound)
        assert h(case["msg"]) == cipher.decrypt(sealed, bound)
    else:
        with pytest.raises(InvalidTag):
            cipher.decrypt(sealed, bound)


@pytest.mark.parametrize(
    ("_group", "case", "name"),
    [
        pytest.param(*p.values, name, id=f"{name}-{p.id}")
        for name in ("sha256", "sha512")
        for p in cases(f"wycheproof_hkdf_{name}.json")
    ],
)
def test_wycheproof_hkdf(_group, case, name):
    hash_ = {"sha256": hashes.SHA256(), "sha512": hashes.SHA512()}[name]
    if case["result"] == "invalid":
        with pytest.raises(ValueError, match=r"."):
            HKDF(hash_, case["size"], salt=h(case["salt"]), info=h(case["info"]))
        return
    made = HKDF(hash_, case["size"], salt=h(case["salt"]), info=h(case["info"]))
    assert h(case["okm"]) == made.derive(h(case["ikm"]))


@pytest.mark.parametrize(("_group", "case"), cases("wycheproof_x25519.json"))
def test_wycheproof_x25519(_group, case):
    private = x25519.X25519PrivateKey.from_private_bytes(h(case["private"]))
    public = x25519.X25519PublicKey.from_public_bytes(h(case["public"]))
    if "ZeroSharedSecret" in case["flags"]:
        with pytest.raises(ValueError, match=r"."):
            private.exchange(public)
    else:
        assert h(case["shared"]) == private.exchange(public)


@pytest.mark.parametrize("case", load("rfc7914_scrypt.json")["tests"], ids=lambda c: str(c["n"]))
def test_rfc_7914_scrypt(case):
    made = Scrypt(
        salt=case["salt"].encode(), length=case["length"], n=case["n"], r=case["r"], p=case["p"]
    )
    assert h(case["key"]) == made.derive(case["password"].encode())


def xwing_decapsulate(seed: bytes, enc: bytes) -> bytes:
    """X-Wing (draft-connolly-cfrg-xwing-kem) from its parts, without the engine's HPKE."""
    wide = hashlib.shake_256(seed).digest(96)
    kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(wide[:64])
    dh = x25519.X25519PrivateKey.from_private_bytes(wide[64:])
    share = enc[1088:]
    return hashlib.sha3_256(
        kem.decapsulate(enc[:1088])
        + dh.exchange(x25519.X25519PublicKey.from_public_bytes(share))
        + share
        + dh.public_key().public_bytes_raw()
        + rb"\.//^\ "[:6]
    ).digest()


def hpke_key_schedule(shared: bytes, info: bytes, suite_id: bytes) -> tuple[bytes, bytes]:
    """RFC 9180, 5.1, mode base with HKDF-SHA256 and a 32-byte key."""

    def extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite_id + label + ikm, "sha256")

    def expand(prk: bytes, label: bytes, context: bytes, size: int) -> bytes:
        text = size.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + context
        return hmac.digest(prk, text + b"\x01", "sha256")[:size]

    psk_id, info_hash = extract(b"", b"psk_id_hash", b""), extract(b"", b"info_hash", info)
    context = b"\x00" + psk_id + info_hash
    secret = extract(shared, b"secret", b"")
    return expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)


@pytest.mark.parametrize("case", load("hpke_pq_xwing.json")["tests"], ids=["0x647A"])
def test_xwing_and_the_hpke_key_schedule_agree_with_the_working_group(case):
    key = RecipientKey.from_xwing_seed(KID, h(case["skRm"]))
    assert h(case["pkRm"]) == key.public.raw
    shared = xwing_decapsulate(h(case["skRm"]), h(case["enc"]))
    assert h(case["shared_secret"]) == shared
    made = hpke_key_schedule(shared, h(case["info"]), h(case["suite_id"]))
    assert (h(case["key"]), h(case["base_nonce"])) == made


def test_the_first_vector_of_the_xwing_draft():
    seed = h("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
    assert RecipientKey.from_xwing_seed(KID, seed).public.raw.hex().startswith("e2236b35a8c24b39")


def test_our_wraps_open_with_rfc_9180_written_out():
    """40 lines of X-Wing and RFC 9180 open what our suite wrapped."""
    seed = b"w" * 32
    wrapped = RecipientKey.from_xwing_seed(KID, seed).public.wrap(b"secret", b"bound to this")
    suite_id = b"HPKE" + (0x647A).to_bytes(2, "big") + b"\x00\x01\x00\x02"
    shared = xwing_decapsulate(seed, wrapped[:1120])
    key, nonce = hpke_key_schedule(shared, b"bound to this", suite_id)
    assert b"secret" == AESGCM(key).decrypt(nonce, wrapped[1120:], b"")


@pytest.mark.parametrize("case", load("interop_tink_hpke.json")["tests"], ids=["empty", "text"])
def test_what_tink_sealed_opens(case):
    key = RecipientKey.from_xwing_seed(KID, h(case["xwing_seed"]))
    assert h(case["pt"]) == key.unwrap(h(case["enc_and_ct"]), h(case["info"]))


@pytest.mark.parametrize(
    "case", load("interop_openssl.json")["tests"], ids=lambda case: case["kind"]
)
def test_what_the_openssl_command_made(case):
    if case["kind"] == "openssl-signature":
        key = SigningKey.from_seed(h(case["mldsa65_seed"])).public
        key.verify(h(case["sig"]), h(case["msg"]), case["context"].encode())
    elif case["kind"] == "openssl-pbes2-scrypt":
        [block] = pem_blocks(case["pem"])
        assert "ENCRYPTED PRIVATE KEY" == block.label
        [loaded] = unlock([block.der], case["password"].encode())
        assert case["secret"] == loaded.private_bytes_raw().hex()
        with pytest.raises(WrongPassphrase):
            unlock([block.der], b"another")
    else:
        with pytest.raises(ValueError, match=r"."):
            serialization.load_pem_private_key(case["pem"].encode(), None)


def test_what_securesystemslib_signed_by_tap_21_verifies():
    import base64

    case = load("interop_dsse_tap21.json")["tests"][0]
    envelope = case["envelope"]
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    pae = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key = SigningKey.from_seed(h(case["mldsa65_seed"])).public
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    key.verify(signature, b"tuf\x01" + hashlib.sha512(pae).digest(), b"")
    with pytest.raises((BadSignature, InvalidSignature)):
        key.verify(signature, pae, b"")
