"""Writers: History, new documents, the usual layout; and readers under fuzzing."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunes.errors import DataError, UsageError
from dunes.maml import PROFILES, MamlError, append_history, new_entry, parse, validate
from dunes.maml.canonical import format_document
from dunes.maml.guide import read_settings
from dunes.maml.history import entries
from dunes.maml.template import Facts, new_document

VECTORS = Path(__file__).parents[2] / "vectors" / "maml"
DOCUMENTS = sorted(p.name for p in VECTORS.iterdir() if ".maml" in p.name)
AT = datetime(2026, 1, 5, 8, tzinfo=UTC)
ENTRY = new_entry(AT, "VERIFY", "Looked at it.", "agent://gateway-01")
ROW = b"- 2026-01-05T08:00:00Z: [VERIFY] Looked at it by `agent://gateway-01`."
FACTS = Facts(
    AT, UUID(int=7), "agent://gateway-01", pem=(VECTORS / "worked-example.pub.pem").read_text()
)


def history(data):
    return [(e.at, e.verb, e.text) for e in entries(parse(data))]


def test_history_is_read_in_both_forms():
    data = (VECTORS / "core-03-history-and-fences.maml.md").read_bytes()
    assert [(e[0], e[1]) for e in history(data)] == [
        ("2026-01-07T10:00:00Z", "CREATE"),
        ("2026-01-07T10:05:00Z", "VERIFY"),
        ("2026-01-07T10:06:00Z", "TICKET"),
    ]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_appending_history_changes_no_other_byte(name):
    data = (VECTORS / name).read_bytes()
    longer = append_history(data, ENTRY)
    start = next(
        i
        for i in range(len(data) + 1)
        if data[:i] + longer[i : i + len(longer) - len(data)] + data[i:] == longer
    )
    inserted = longer[start : start + len(longer) - len(data)]
    assert ROW in longer
    assert len(inserted) <= len(ROW) + len(b"\r\n" * 4 + b"## History")
    added = ("2026-01-05T08:00:00Z", "VERIFY", "Looked at it by `agent://gateway-01`.")
    assert [*history(data), added] == history(longer)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"## History\n- a\n\n## Intent\nx\n", b"## History\n- a\n" + ROW + b"\n\n## Intent\nx\n"),
        (b"## History\n- a", b"## History\n- a\n" + ROW),
        (b"## History", b"## History\n" + ROW),
        (b"## History\n\n\n", b"## History\n" + ROW + b"\n\n\n"),
        (b"x\r\n", b"x\r\n\r\n## History\r\n" + ROW + b"\r\n"),
        (b"x", b"x\n\n## History\n" + ROW + b"\n"),
        (b"", b"\n## History\n" + ROW + b"\n"),
        ("\ufeffé\n## History\n- ü".encode(), "\ufeffé\n## History\n- ü\n".encode() + ROW),
        (b"## History\n```\n- a\n```\n", b"## History\n```\n- a\n```\n" + ROW + b"\n"),
    ],
)
def test_the_entry_goes_to_the_end_of_history(before, after):
    assert after == append_history(before, ENTRY)


def test_an_entry_is_not_put_inside_an_open_fence():
    with pytest.raises(DataError, match="line 2"):
        append_history(b"## History\n```\nx\n", ENTRY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"verb": "DANCE"},
        {"verb": "create"},
        {"text": "two\nlines"},
        {"text": "a `tick`"},
        {"text": " "},
        {"text": "x" * 501},
        {"text": "\u202e"},
        {"by": "nobody"},
        {"by": "agent://a`b"},
        {"by": "agent://a b"},
        {"at": datetime(2026, 1, 5)},  # noqa: DTZ001 - the fault under test
    ],
)
def test_an_entry_cannot_smuggle(wrong):
    given_ = {"at": AT, "verb": "CREATE", "text": "fine", "by": "agent://a"} | wrong
    with pytest.raises(DataError):
        new_entry(**given_)


def test_an_entry_is_written_in_utc():
    entry = new_entry(AT.astimezone(timezone(timedelta(hours=5))), "CREATE", "x", "agent://a")
    assert entry.at == "2026-01-05T08:00:00Z"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_new_document_is_valid_and_in_the_usual_layout(profile):
    data = new_document(profile, FACTS)
    document = parse(data)
    assert profile == document.profile
    assert validate(document).ok
    assert data == format_document(data)


def test_a_new_core_document_passes_strictly():
    found = validate(parse(new_document("core", FACTS)), strict=True)
    assert list(found) == []


@pytest.mark.parametrize(
    ("profile", "facts"),
    [
        ("nothing", FACTS),
        ("key", Facts(AT, UUID(int=7), "agent://a")),
        (
            "key",
            Facts(
                AT,
                UUID(int=7),
                "agent://a",
                pem="-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
            ),
        ),
        ("core", Facts(AT, UUID(int=7), "nobody")),
        ("core", Facts(AT, UUID(int=7), 'agent://"')),
        ("core", Facts(AT, UUID(int=7), "agent://a", kind="a: b")),
    ],
)
def test_a_new_document_refuses_what_it_cannot_write(profile, facts):
    with pytest.raises(UsageError):
        new_document(profile, facts)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\xef\xbb\xbf---\r\na: 1 \r\n--- \r\ntext  \r\n\r\n\r\n", b"---\na: 1\n---\ntext  \n"),
        (
            b"---\nversion: 1.0\nb: no\nc: 2026-01-05\nd: 'no'\n---\n",
            b'---\nversion: "1.0"\nb: "no"\nc: "2026-01-05"\nd: \'no\'\n---\n',
        ),
        ("## 🐪 input schema 🐪 ##\n{}\n".encode(), b"## Input_Schema\n{}\n"),
        (b"## My own title  \n", b"## My own title\n"),
        (b"```\n## intent\n```\n", b"```\n## intent\n```\n"),
        (b"---\na: |\n  x  \n  y\n---\n", b"---\na: |\n  x  \n  y\n---\n"),
        (b"---\na: [no, {b: 012}]\n---\n", b'---\na: ["no", {b: "012"}]\n---\n'),
        (b"", b""),
    ],
)
def test_the_usual_layout(before, after):
    assert after == format_document(before)
    assert after == format_document(after)


def test_a_document_with_errors_is_not_laid_out():
    with pytest.raises(MamlError, match="line 5, column 1"):
        format_document((VECTORS / "core-90-broken.maml").read_bytes())


def test_a_signed_document_is_left_alone():
    data = b"## Intent\nx\n## Signature\n```signature\nx\n```\n"
    with pytest.raises(DataError, match="signed"):
        format_document(data)
    with pytest.raises(DataError, match="signed"):
        append_history(data, ENTRY)


def test_the_guide_document_gives_settings():
    found = list(read_settings(parse((VECTORS / "guide-02-large-buffer.maml").read_bytes())))
    assert [(s.key, s.setting, s.value, s.line) for s in found] == [
        ("mode", "profile.mode", "backup-mesh", 2),
        ("starlink-poll-interval", "starlink.poll", "2m", 3),
        ("signal-threshold", "profile.signal_threshold", 15, 4),
        ("buffer-size", "buffer.cap", "10GB", 5),
        ("mesh-id", "mesh.id", "mars-ble-001", 8),
        ("failover", "profile.failover", "local", 9),
        ("table", "", "lunar_telemetry", 10),
    ]


PIECES = st.sampled_from(
    [
        "---\n",
        "---",
        "\n",
        "\r\n",
        "## ",
        "## History\n",
        "```",
        "````json\n",
        "~~~\n",
        "a: ",
        "- a: b\n",
        "maml_version: 1\n",
        "mode: x\n",
        "schema: maml_v1\n",
        "type: key\n",
        "&a ",
        "*a",
        "!!x ",
        "[",
        "{",
        "}",
        "]",
        "? ",
        ": ",
        "'",
        '"',
        "|",
        ">",
        "#",
        "%",
        "@",
        "\t",
        "  ",
        "no",
        "1:30",
        "[a, 012]",
        "{x: 1:30}",
        "\ufeff",
        "\u202e",
        "\x00",
        "🐪",
        "-----BEGIN PUBLIC KEY-----\n",
        "-----END PUBLIC KEY-----\n",
        "<!--",
        "-->",
        "permissions: ",
        "kid: ",
        "- 2026-01-05: [CREATE] x\n",
    ]
)


def exercise(data):
    """Read, validate by every profile, append, lay out: values or MamlError, nothing else."""
    try:
        document = parse(data)
    except MamlError:
        return
    for profile in PROFILES:
        for strict in (False, True):
            for finding in validate(document, profile=profile, strict=strict):
                assert finding.line >= 1
                assert finding.column >= 1
                assert finding.message.isprintable()
    try:
        longer = append_history(data, ENTRY)
    except DataError:
        return
    assert ROW in longer
    assert len(longer) > len(data)
    try:
        laid_out = format_document(data)
    except DataError:
        return
    assert laid_out == format_document(laid_out)


@pytest.mark.parametrize(
    "text",
    [
        "---\n[a, 012]\n---\n",
        "---\ntype: a\ntype: {x: 1:30}\n---\n",
        "---\nmaml_version: 1\nmaml_version: [no, 012]\n---\n",
        'x\n```yaml\n---\nmaml_version: 1.0\nat: 2026-01-05 \nq: "2\t\n  b"\n---\n```\n',
        "x\n\n---\nmaml_version: 1.0\nid: no  \n---\n## intent\ny\n",
    ],
)
def test_what_a_long_fuzzing_run_found(text):
    exercise(text.encode())


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_document_or_an_error(data):
    exercise(data)


@settings(max_examples=800, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_pieces_of_documents_give_a_document_or_an_error(text):
    exercise(text.encode())


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(DOCUMENTS), st.data())
def test_a_mutated_document_gives_a_document_or_an_error(name, data):
    raw = bytearray((VECTORS / name).read_bytes()[:2000])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        new = data.draw(st.binary(max_size=8) | PIECES.map(str.encode))
        raw[at : at + data.draw(st.integers(0, 8))] = new
    exercise(bytes(raw))
