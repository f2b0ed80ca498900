"""A stranger with securesystemslib and a public key verifies our receipts.

Nothing of ours is imported by the stranger: it gets two files, and knows from the
format description where the envelope stands and what the statement must say.
"""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from dunes.crypto.signing import SigningKey
from dunes.mu import draft, sealed

VECTORS = Path(__file__).parents[1] / "vectors" / "maml"
STRANGER = """
import copy, hashlib, json, sys
from pathlib import Path
from cryptography.hazmat.primitives import serialization as S
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

data, pem = (Path(p).read_bytes() for p in sys.argv[1:3])
public = S.load_pem_public_key(pem)
spki = public.public_bytes(S.Encoding.DER, S.PublicFormat.SubjectPublicKeyInfo)
kid = hashlib.sha256(spki).hexdigest()[:32]
at = data.rfind(b"\\n<!-- mu:")
trailer = json.loads(data[at:].removeprefix(b"\\n<!-- mu:").removesuffix(b" -->\\n"))
envelope = Envelope.from_dict(copy.deepcopy(trailer["dsse"]))
key = SSlibKey.from_crypto(public, keyid=kid, scheme="ml-dsa-65/1")
try:
    envelope.verify([key], 1)
except VerificationError as e:
    sys.exit(f"not verified: {e}")
statement = json.loads(envelope.payload)
document, mirrored = data[: trailer["offset"]], data[:at].split(b"\\n---\\n", 1)[1]
source = mirrored.decode()[::-1].encode()
about = statement["predicate"]["document"]
assert trailer["offset"] == at == about["length"]
assert hashlib.sha256(document).hexdigest() == about["digest"]["sha256"]
[subject] = statement["subject"]
assert hashlib.sha256(source).hexdigest() == subject["digest"]["sha256"]
assert "dunes" not in sys.modules
print(json.dumps({"kid": kid, "name": subject["name"], "source": source.decode()}))
"""


def ask_the_stranger(receipt, pem):
    return subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, str(receipt), str(pem)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def made(tmp_path):
    pytest.importorskip("securesystemslib", reason="securesystemslib is not installed")
    key = SigningKey.generate()
    source = "## Intent\nWarn the crew when CO₂ climbs. 🐪\n"
    made = draft(
        source.encode(),
        name="lunar-config.maml",
        at=datetime(2026, 1, 5, tzinfo=UTC),
        uuid=UUID(int=3),
        tool="dunes-mcp/test",
    )
    receipt, pem = tmp_path / "a.mu", tmp_path / "a.pem"
    receipt.write_bytes(sealed(made, key)[0])
    pem.write_text(key.public.pem)
    return receipt, pem, key.kid, source


def test_a_stranger_verifies_a_receipt_and_restores_its_source(made):
    receipt, pem, kid, source = made
    answer = ask_the_stranger(receipt, pem)
    assert answer.returncode == 0, answer.stderr
    assert {"kid": kid, "name": "lunar-config.maml", "source": source} == json.loads(answer.stdout)


def test_a_stranger_verifies_the_published_example():
    answer = ask_the_stranger(VECTORS / "worked-example.mu", VECTORS / "worked-example.pub.pem")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["kid"] == "8f08b57e66634e6e2b862083edb01ee1"


def test_a_stranger_refuses_a_receipt_by_another_key(made, tmp_path):
    other = tmp_path / "b.pem"
    other.write_text(SigningKey.generate().public.pem)
    assert "not verified" in ask_the_stranger(made[0], other).stderr


def test_a_stranger_refuses_an_edited_payload(made):
    receipt, pem = made[:2]
    data = receipt.read_bytes()
    receipt.write_bytes(data.replace(b'"payload":"ey', b'"payload":"fy'))
    assert ask_the_stranger(receipt, pem).returncode != 0


def test_the_leaf_of_the_published_example_is_known():
    data = (VECTORS / "worked-example.mu").read_bytes()
    start = data.rfind(b'"dsse":') + len(b'"dsse":')
    leaf = hashlib.sha256(b"\x00" + data[start : -len(b"} -->\n")]).hexdigest()
    answers = json.loads((VECTORS.parent / "mu" / "log-answers.json").read_text())
    assert answers["worked_example_leaf"] == leaf
