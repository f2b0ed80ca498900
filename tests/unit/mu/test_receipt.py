"""The form mu/1: making, reading, judging, and every way to break it."""

import base64
import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunes.crypto.signing import SigningKey, VerifyKey
from dunes.errors import DataError, Denied
from dunes.mu import BadReceipt, Level, draft, judge, sealed
from dunes.mu.dsse import INTOTO_TYPE, pae, read_envelope, seal, signed_bytes
from dunes.mu.mirror import mirror, mirror_words
from dunes.mu.receipt import take_apart
from dunes.mu.statement import PREDICATE_TYPE, Statement, read_statement

VECTORS = Path(__file__).parents[2] / "vectors" / "maml"
EXAMPLE = (VECTORS / "worked-example.mu").read_bytes()
SOURCE = (VECTORS / "worked-example.maml").read_bytes()
PUBLIC = VerifyKey.from_spki((VECTORS / "worked-example.pub.pem").read_bytes())
KEY = SigningKey.from_seed(bytes(range(32)))
STRANGER = SigningKey.from_seed(bytes(32))
AT = datetime(2026, 1, 5, 8, 0, 7, tzinfo=UTC)
OFFSET = 749


def find_example(kid):
    return PUBLIC if kid == PUBLIC.kid else None


def find(kid):
    return KEY.public if kid == KEY.kid else None


def make(source=SOURCE, signer=KEY, **options):
    options = {"name": "a.maml", "at": AT, "uuid": UUID(int=1), "tool": "t/1"} | options
    return sealed(draft(source, **options), signer)[0]


def failure(data, keys=find):
    verdict = judge(data, find=keys)
    assert verdict.valid == (verdict.failure is None)
    assert verdict.valid or (verdict.level is Level.NONE and verdict.source is None)
    return verdict.failure.code if verdict.failure else None


# the published example and its known answers


def test_the_example_is_signed_and_gives_its_source_back():
    verdict = judge(EXAMPLE, find=find_example)
    assert verdict.valid
    assert verdict.level is Level.SIGNED
    assert SOURCE == verdict.source
    assert verdict.kids == ("8f08b57e66634e6e2b862083edb01ee1",)
    assert verdict.kind == "receipt"
    assert verdict.source_name == "worked-example.maml"


def test_the_example_has_the_known_lengths():
    parts = take_apart(EXAMPLE)
    assert (len(SOURCE), len(parts.document), len(parts.mirror), len(EXAMPLE)) == (
        359,
        749,
        359,
        6117,
    )
    assert parts.offset == OFFSET
    assert (len(parts.envelope.payload), len(parts.envelope.raw)) == (593, 5332)


def test_our_writer_makes_the_example_but_for_its_signature():
    made = draft(
        SOURCE,
        name="worked-example.maml",
        at=AT,
        uuid=UUID("8d2b0c8e-7a13-4f0f-8f5b-5f0a6d7c1e42"),
        tool="dunes-mcp/0.1.0",
    )
    data, envelope = sealed(made, KEY, log_index=0)
    theirs = take_apart(EXAMPLE)
    assert theirs.document == made.document
    assert theirs.envelope.payload == read_envelope(envelope).payload
    assert data.endswith(b',"dsse":' + envelope + b"} -->\n")


def test_the_pre_authentication_encoding_is_that_of_dsse():
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert len(signed_bytes("t", b"")) == 68


def test_an_envelope_made_by_securesystemslib_verifies():
    vector = json.loads((VECTORS.parent / "mu" / "interop_dsse_tap21.json").read_text())
    for case in vector["tests"]:
        key = SigningKey.from_seed(bytes.fromhex(case["mldsa65_seed"])).public
        envelope = read_envelope(json.dumps(case["envelope"]).encode())
        [signature] = envelope.signatures
        signed = signed_bytes(envelope.payload_type, envelope.payload)
        key.verify(signature.sig, signed, b"")


# mirrors


def test_hello_world():
    assert mirror("Hello World") == "dlroW olleH"
    assert mirror_words("Hello World") == "olleH dlroW"


@given(st.text())
def test_a_mirror_is_its_own_inverse(text):
    assert text == mirror(mirror(text))


# making


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"a",
        b"\n",
        b"\r\n\r\n",
        "\ufeffé\n".encode(),
        unicodedata.normalize("NFD", "Å é ﬁ").encode(),
        "🐪👩‍🚀".encode(),
        "\u202eevil\u2066".encode(),
        b'\n<!-- mu:{"offset":0,"dsse":{}} -->\n',
        mirror('\n<!-- mu:{"offset":0,"dsse":{}} -->\n').encode(),
        b"---\n" * 50,
        b"\x00\x1b[31m",
    ],
)
def test_any_utf_8_text_is_given_back_byte_for_byte(source):
    verdict = judge(make(source), find=find)
    assert verdict.valid, verdict.failure
    assert source == verdict.source


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(codec="utf-8"), max_size=300),
    st.text(
        st.characters(exclude_categories=["C", "Z"], exclude_characters="/"),
        min_size=1,
        max_size=40,
    ),
)
def test_any_text_and_name_are_given_back(text, name):
    if not name.isprintable() or name in {".", ".."}:
        return
    verdict = judge(make(text.encode(), signer=None, name=name), find=find)
    assert verdict.valid, verdict.failure
    assert text.encode() == verdict.source
    assert name == verdict.source_name


def test_an_unsigned_receipt_reaches_the_level_digest():
    verdict = judge(make(signer=None), find=find)
    assert verdict.valid
    assert verdict.level is Level.DIGEST
    assert verdict.kids == ()


def test_a_receipt_by_an_unknown_key_reaches_the_level_digest_and_names_it():
    verdict = judge(make(signer=STRANGER), find=find)
    assert verdict.valid
    assert verdict.level is Level.DIGEST
    assert verdict.unknown_kids == (STRANGER.kid,)


def test_what_else_is_stated_is_signed_too():
    data = make(more={"source": {"kind": "table", "rows": 3}})
    statement = read_statement(take_apart(data).envelope.payload)
    assert statement.more == {"source": {"kind": "table", "rows": 3}}


@pytest.mark.parametrize("name", ["", "a/b", ".", "..", "a\nb", "\u202ea", "x" * 256, "a\x00"])
def test_a_name_that_is_no_file_name_is_refused(name):
    with pytest.raises(DataError):
        make(name=name)


def test_a_source_that_is_not_utf_8_is_refused():
    with pytest.raises(DataError, match="byte 2"):
        make(b"ab\xff")


def test_a_source_with_a_private_key_is_refused():
    begin = "-----BEGIN ENCRYPTED PRIVATE KEY-----"
    with pytest.raises(Denied) as caught:
        make(f"x\n{begin}\nAAAA\n".encode())
    assert caught.value.code == "private-key"


def test_an_unknown_kind_is_refused():
    with pytest.raises(DataError):
        make(kind="letter")


# tampering


def changed(at, data=EXAMPLE):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("at", range(0, 390, 7))
def test_a_changed_byte_of_the_front_matter_is_noticed(at):
    assert failure(changed(at), find_example) is not None


@pytest.mark.parametrize("at", range(390, OFFSET, 7))
def test_a_changed_byte_of_the_mirror_is_noticed(at):
    assert failure(changed(at), find_example) in {"mirror-digest", "not-utf-8"}


@pytest.mark.parametrize("at", range(OFFSET, 6117, 97))
def test_a_changed_byte_of_the_trailer_is_noticed(at):
    try:
        verdict = judge(changed(at), find=find_example)
    except BadReceipt:
        return
    assert not verdict.valid or verdict.level < Level.SIGNED


def test_every_changed_bit_of_a_small_receipt_is_noticed():
    data = make(b"hi\n")
    end = data.index(b'"sig":"')
    for at in range(end):
        for bit in (1, 16, 128):
            broken = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            try:
                verdict = judge(broken, find=find)
            except BadReceipt:
                continue
            assert verdict.level < Level.SIGNED, (at, bit)


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda d: d.replace(b'"offset":749', b'"offset":748'), "wrong-offset"),
        (lambda d: d.replace(b'"offset":749', b'"offset":0749'), "bad-trailer"),
        (lambda d: d.replace(b'"offset":749', b'"offset": 749'), "bad-trailer"),
        (lambda d: d.replace(b"\n", b"\r\n"), "line-ends-changed"),
        (lambda d: d[:390] + d[390:OFFSET].replace(b"\n", b"\r\n") + d[OFFSET:], "wrong-offset"),
        (lambda d: d + b"\n", "bytes-after-trailer"),
        (lambda d: d + b"x", "bytes-after-trailer"),
        (lambda d: d[:-1], "cut"),
        (lambda d: d[:-5], "cut"),
        (lambda d: d[:-2000], "cut"),
        (lambda d: d.replace("₂".encode(), b"2"), "wrong-offset"),
        (lambda d: d.replace(b'"0.0.1"', b'"0.0.2"'), "mirror-digest"),
        (lambda d: b"\n" + d, "bad-front-matter"),
        (lambda d: d.replace(b"type: receipt", b"type: letters"), "bad-front-matter"),
        (lambda d: d.replace(b"type: receipt", b"type: commands"), "wrong-offset"),
        (lambda d: d.replace(b"00:07Z", b"00:08Z", 1), "statement-mismatch"),
        (lambda d: d.replace(b"mu_version", b"mu-version"), "bad-front-matter"),
        (lambda d: d.replace(b"method: reverse", b"method: believe"), "bad-front-matter"),
        (lambda d: d.replace(b"\ntype:", b"\nx: *a\ntype:"), "bad-front-matter"),
        (lambda d: d.replace(b'"keyid":"8f', b'"keyid":"8g'), None),
        (lambda d: d.replace(b'in-toto+json","sig', b'in-toto-json","sig'), "payload-type"),
        (lambda d: d.replace(b'"payload":"e', b'"payload":"f'), "bad-signature"),
        (lambda d: d.replace(b'"payload":"e', b'"payload":" e'), "bad-envelope"),
        (lambda d: d.replace(b'"signatures":[', b'"signatures":[3,'), "bad-envelope"),
        (lambda d: d.replace(b'"signatures":[', b'"payload":"","signatures":['), "bad-envelope"),
    ],
)  # fmt: skip
def test_each_edit_has_its_own_reason(edit, code):
    edited = edit(EXAMPLE)
    assert edited != EXAMPLE
    assert code == failure(edited, find_example)


def remade(data, edit):
    """Edit the mirror of an unsigned receipt and set offset, but not the digests."""
    parts = take_apart(data)
    head = parts.document[: len(parts.document) - len(parts.mirror)]
    document = head + edit(parts.mirror.decode()).encode()
    trailer = data[len(parts.document) :]
    return document + trailer.replace(
        b'"offset":%d' % parts.offset, b'"offset":%d' % len(document)
    )


def test_converted_line_ends_are_told_from_other_changes():
    data = make(b"a\nb\n", signer=None)
    assert failure(remade(data, lambda t: t.replace("\n", "\r\n"))) == "line-ends-changed"
    assert failure(remade(data, lambda t: t + "x")) == "mirror-digest"


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_normalised_text_is_told_from_other_changes(form, other):
    source = unicodedata.normalize(form, "café 12 Å").encode()
    body = mirror(source.decode())
    # a mark follows its letter in the source, so it stands before it in the mirror
    if unicodedata.normalize(other, body) == body:
        return
    data = make(source, signer=None)
    broken = remade(data, lambda t: unicodedata.normalize(other, t))
    assert failure(broken) in {"normalised", "mirror-digest"}


def test_nfc_text_that_was_decomposed_is_called_normalised():
    data = make("café".encode(), signer=None)
    assert failure(remade(data, lambda t: unicodedata.normalize("NFD", t))) == "normalised"


def test_digests_rewritten_by_a_forger_do_not_pass_as_signed():
    forged = make(SOURCE.replace(b"5000", b"9000"), signer=None, name="worked-example.maml")
    signature = EXAMPLE[EXAMPLE.index(b',"dsse":') :]
    parts = take_apart(forged)
    mixed = parts.document + b'\n<!-- mu:{"offset":%d' % parts.offset + signature
    assert failure(mixed, find_example) == "statement-mismatch"


def resealed(data, payload_edit, signer=KEY, payload_type=INTOTO_TYPE):
    parts = take_apart(data)
    payload = payload_edit(parts.envelope.payload)
    envelope = seal(payload, payload_type, signer)
    trailer = b'\n<!-- mu:{"offset":%d,"dsse":' % parts.offset + envelope + b"} -->\n"
    return parts.document + trailer


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda p: p.replace(b'"length":', b'"length":1'), "statement-mismatch"),
        (lambda p: p.replace(b'"length":', b'"length":true,"was":'), "bad-statement"),
        (lambda p: p.replace(b"a.maml", b"b.maml"), "statement-mismatch"),
        (lambda p: p.replace(b"codepoint/1", b"codepoint/2"), "bad-statement"),
        (lambda p: p.replace(b"Statement/v1", b"Statement/v2"), "bad-statement"),
        (lambda p: p.replace(PREDICATE_TYPE.encode(), b"https://slsa.dev/vsa"), "bad-statement"),
        (lambda p: p.replace(b'"subject":[', b'"subject":[{"name":"x"},'), "bad-statement"),
        (lambda p: p.replace(b'"kind":"receipt"', b'"kind":"commands"'), "statement-mismatch"),
        (lambda p: p[:-1], "bad-statement"),
        (lambda _: b"[]", "bad-statement"),
        (lambda _: b"\xff", "bad-statement"),
        (lambda p: p.replace(b'"predicate":{', b'"predicate":3,"x":{'), "bad-statement"),
    ],
)  # fmt: skip
def test_a_signed_statement_must_be_about_this_file(edit, code):
    data = make()
    assert resealed(data, lambda p: p) != data  # signing is hedged
    assert failure(resealed(data, lambda p: p)) is None
    assert code == failure(resealed(data, edit))


def test_a_good_envelope_of_another_type_is_refused():
    data = resealed(make(), lambda p: p, payload_type="application/json")
    assert failure(data) == "payload-type"


def test_a_signature_made_without_tap_21_is_refused():
    data = make()
    parts = take_apart(data)
    plain = KEY.sign(pae(INTOTO_TYPE, parts.envelope.payload), b"")
    other = KEY.sign(signed_bytes(INTOTO_TYPE, parts.envelope.payload), b"dunes/2048-aes/v1/file")
    for sig in (plain, other, bytes(3309), plain[:-1]):
        shown = base64.b64encode(sig)
        start = data.index(b'"sig":"') + 7
        end = data.index(b'"', start)
        assert failure(data[:start] + shown + data[end:]) == "bad-signature"


def test_a_keyring_that_gives_the_wrong_key_does_not_verify():
    verdict = judge(make(), find=lambda _: STRANGER.public)
    assert verdict.failure.code == "bad-signature"


def test_one_bad_signature_of_a_known_key_spoils_a_good_one():
    data = make()
    extra = b'{"keyid":"%s","sig":"AAAA"},' % KEY.kid.encode()
    assert failure(data.replace(b'"signatures":[', b'"signatures":[' + extra)) == "bad-signature"


def test_a_second_signature_by_an_unknown_key_is_no_harm():
    data = make()
    extra = b'{"keyid":"somebody","sig":"AAAA"},'
    verdict = judge(data.replace(b'"signatures":[', b'"signatures":[' + extra), find=find)
    assert verdict.valid
    assert verdict.kids == (KEY.kid,)
    assert verdict.unknown_kids == ("somebody",)


def test_a_statement_is_written_and_read_back():
    statement = Statement(
        "n", "0" * 64, "receipt", "t", "x/1", 3, "1" * 64, 2, "2" * 64, 7, "dunes/x", {"a": [1]}
    )
    assert statement == read_statement(statement.encode())


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_mutated_receipt_is_judged_without_a_traceback(data):
    raw = bytearray(data.draw(st.sampled_from([EXAMPLE, make(b"x: 1\n", signer=None)])))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=20))
    try:
        verdict = judge(bytes(raw), find=find_example)
    except BadReceipt:
        return
    if bytes(raw) != EXAMPLE:
        assert verdict.level < Level.SIGNED


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_judged_or_refused(data):
    for raw in (data, data + b'\n<!-- mu:{"offset":0,"dsse":{}} -->\n', b"---\n" + data):
        try:
            judge(raw, find=find)
        except BadReceipt:
            continue
