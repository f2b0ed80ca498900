"""Other implementations of the same algorithms agree with ours, in both directions.

dilithium-py and kyber-py are written in Python from FIPS 204 and 203; Tink is Google's, in
C++; liboqs is checked where it is installed (never built). Each skip says what is missing.
"""

import base64
import hashlib
import io
import json
import shutil
import subprocess

import pytest

from dunes.crypto import detached, names
from dunes.crypto.engine import BUILD_HINT, Liboqs
from dunes.crypto.errors import BadSignature, EngineMissing
from dunes.crypto.signing import SigningKey, VerifyKey
from dunes.crypto.xwing import Recipient, RecipientKey

SEED = bytes(range(32))
SIGNING = SigningKey.from_seed(SEED)
RECIPIENT = RecipientKey.from_xwing_seed(SIGNING.kid, SEED)
CONTEXTS = [names.SIGN_BATCH, names.SIGN_KEY_RECORD, b""]


@pytest.fixture(scope="module")
def mldsa65():
    module = pytest.importorskip("dilithium_py.ml_dsa", reason="dilithium-py is not installed")
    return module.ML_DSA_65


@pytest.fixture(scope="module")
def mlkem768():
    module = pytest.importorskip("kyber_py.ml_kem", reason="kyber-py is not installed")
    return module.ML_KEM_768


def test_dilithium_py_makes_the_same_key_from_the_same_seed(mldsa65):
    public, _ = mldsa65.key_derive(SEED)
    assert SIGNING.public.raw == public


@pytest.mark.parametrize("context", CONTEXTS)
def test_dilithium_py_verifies_us_and_we_verify_it(mldsa65, context):
    public, private = mldsa65.key_derive(SEED)
    ours = SIGNING.sign(b"data", context)
    assert mldsa65.verify(public, b"data", ours, ctx=context)
    assert not mldsa65.verify(public, b"data!", ours, ctx=context)
    theirs = mldsa65.sign(private, b"data", ctx=context)
    VerifyKey.from_raw(public).verify(theirs, b"data", context)


def test_dilithium_py_verifies_a_streamed_signature_over_the_plain_file(mldsa65):
    content = b"a line of a file\n" * 10_000
    found = detached.read_signature(detached.sign_stream(io.BytesIO(content), SIGNING))
    assert mldsa65.verify(SIGNING.public.raw, content, found.signature, ctx=names.SIGN_DETACHED)


def test_kyber_py_makes_the_same_key_and_opens_what_we_encapsulate(mlkem768):
    wide = hashlib.shake_256(SEED).digest(96)
    public, private = mlkem768.key_derive(wide[:64])
    assert RECIPIENT.public.raw[:1184] == public
    from cryptography.hazmat.primitives.asymmetric import mlkem

    secret, ciphertext = mlkem.MLKEM768PublicKey.from_public_bytes(public).encapsulate()
    assert secret == mlkem768.decaps(private, ciphertext)
    secret, ciphertext = mlkem768.encaps(public)
    key = mlkem.MLKEM768PrivateKey.from_seed_bytes(wide[:64])
    assert secret == key.decapsulate(ciphertext)


@pytest.fixture(scope="module")
def tink():
    module = pytest.importorskip("tink", reason="tink is not installed")
    from tink import hybrid

    hybrid.register()
    return module


def test_tink_opens_our_wraps_and_we_open_its(tink):
    from tink import hybrid, secret_key_access
    from tink.proto import hpke_pb2

    template = hybrid.hybrid_key_templates.X_WING_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_RAW
    theirs = tink.new_keyset_handle(template)
    text = tink.json_proto_keyset_format.serialize(theirs, secret_key_access.TOKEN)
    data = json.loads(text)["key"][0]["keyData"]
    private = hpke_pb2.HpkePrivateKey.FromString(base64.b64decode(data["value"]))
    ours = RecipientKey.from_xwing_seed(SIGNING.kid, private.private_key)
    assert private.public_key.public_key == ours.public.raw
    wrapped = ours.public.wrap(b"a data key", b"bound")
    opener = theirs.primitive(hybrid.HybridDecrypt)
    assert b"a data key" == opener.decrypt(wrapped, b"bound")
    sealer = theirs.public_keyset_handle().primitive(hybrid.HybridEncrypt)
    assert b"another" == ours.unwrap(sealer.encrypt(b"another", b"bound"), b"bound")


def test_a_recipient_read_from_its_spki_is_the_same():
    mlkem, x25519 = RECIPIENT.public.spki_ders
    assert RECIPIENT.public == Recipient.from_spki(SIGNING.kid, mlkem, x25519)


@pytest.fixture(scope="module")
def liboqs():
    try:
        return Liboqs()
    except EngineMissing as e:
        pytest.skip(e.message)


def test_liboqs_agrees_in_every_comparison(liboqs):
    wrong = [check.name for check in liboqs.cross_check(SIGNING, RECIPIENT) if not check.ok]
    assert [] == wrong


def test_liboqs_verifies_a_streamed_signature_over_the_plain_file(liboqs, tmp_path):
    content = b"a line of a file\n" * 1000
    found = detached.read_signature(detached.sign_stream(io.BytesIO(content), SIGNING))
    path = tmp_path / "file"
    path.write_bytes(content)
    liboqs.verify_file(SIGNING.public, found.signature, path, names.SIGN_DETACHED)
    path.write_bytes(content + b"x")
    with pytest.raises(BadSignature):
        liboqs.verify_file(SIGNING.public, found.signature, path, names.SIGN_DETACHED)


def test_the_hint_to_build_liboqs_builds_only_what_the_suite_needs():
    assert "OQS_MINIMAL_BUILD" in BUILD_HINT
    assert "SIG_ml_dsa_65" in BUILD_HINT


@pytest.fixture(scope="module")
def openssl():
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    version = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    number = tuple(int(part) for part in version.stdout.split()[1].split(".")[:2])
    if number < (3, 5):
        pytest.skip(f"{version.stdout.split('(')[0].strip()} knows no ML-DSA; 3.5 does")
    return program


def test_the_openssl_command_checks_a_detached_signature(openssl, tmp_path):
    content = b"content of a file\n"
    found = detached.read_signature(detached.sign_stream(io.BytesIO(content), SIGNING))
    (tmp_path / "m").write_bytes(content)
    (tmp_path / "sig").write_bytes(found.signature)
    (tmp_path / "pub.pem").write_text(SIGNING.public.pem)
    done = subprocess.run(
        [
            *(openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-rawin"),
            *("-in", "m", "-sigfile", "sig", "-pkeyopt"),
            "context-string:dunes/2048-aes/v1/detached",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
