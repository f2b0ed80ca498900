"""The tolerant reader: what it finds, where, and what it refuses."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from dunes.maml import MamlError, Severity, parse
from dunes.maml.lines import Lines
from dunes.maml.markdown import section_key
from dunes.maml.yaml_tree import read_yaml

VECTORS = Path(__file__).parents[2] / "vectors" / "maml"


def read(name):
    return parse((VECTORS / name).read_bytes())


def front(yaml_text):
    return parse(f"---\n{yaml_text}\n---\n".encode())


def codes(document):
    return [f.code for f in document.faults]


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("core-01-habitat-workflow.maml", "core"),
        ("core-02-quirks.maml.md", "core"),
        ("core-03-history-and-fences.maml.md", "core"),
        ("core-90-broken.maml", "core"),
        ("guide-01-mesh-backup.maml", "guide"),
        ("guide-02-large-buffer.maml", "guide"),
        ("guide-03-crlf-bom.maml", "guide"),
        ("guide-90-bad-units.maml", "guide"),
        ("key-01-habitat-key.pub.maml", "key"),
        ("key-02-rotated-key.pub.maml", "key"),
        ("key-90-wrong-kid-key.pub.maml", "key"),
        ("loose-01-no-front-matter.maml", "loose"),
        ("loose-02-embedded-front-matter.maml.md", "core"),
        ("loose-03-schema-key.maml", "schema"),
        ("loose-90-unclosed.maml", "loose"),
        ("worked-example.maml", "core"),
    ],
)
def test_the_profile_is_recognised(name, profile):
    assert profile == read(name).profile


def test_sections_keep_their_order_and_their_text():
    document = read("core-01-habitat-workflow.maml")
    expected = ["intent", "context", "input_schema", "output_schema", "code_blocks", "history"]
    assert expected == [s.key for s in document.sections]
    assert document.section("context").text == "limit_ppm: 5000\ntable: lunar_telemetry\n\n"
    assert document.section("nothing") is None


def test_an_unquoted_time_stays_text():
    document = read("core-01-habitat-workflow.maml")
    assert document.front["created_at"] == "2026-01-05T08:00:00Z"
    assert document.position_of("created_at") == (14, 13)


def test_a_version_stays_text():
    assert read("loose-03-schema-key.maml").front["version"] == "1.0"
    assert front("maml_version: 2.0\nschema_version: 010").front == {
        "maml_version": "2.0",
        "schema_version": "010",
    }


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("1:30", "1:30"),
        ("012", "012"),
        ("2026-01-05", "2026-01-05"),
        ("12", 12),
        ("-7", -7),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("1e400", "1e400"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("true", True),
        ("~", None),
        ("10m", "10m"),
        ("15 %", "15 %"),
        ('"12"', "12"),
        ("9" * 30, "9" * 30),
        ("<<", "<<"),
    ],
)
def test_plain_scalars_follow_yaml_1_2_less_what_readers_disagree_about(written, value):
    found = front(f"key: {written}").front["key"]
    assert value == found
    assert type(value) is type(found)


def test_a_word_that_readers_disagree_about_is_remarked():
    document = front("key: no")
    assert codes(document) == ["ambiguous-scalar"]
    assert document.faults[0].line == 2
    assert document.faults[0].severity is Severity.WARNING
    assert codes(front('key: "no"')) == []


def test_a_number_is_known_as_written():
    document = front("a: 0x10\nb: [1.50]")
    assert document.written("a") == "0x10"
    assert document.written("b", 0) == "1.50"


def test_a_duplicate_key_is_an_error_with_its_place_and_the_first_value_stays():
    document = read("core-90-broken.maml")
    fault = document.faults[0]
    assert (fault.code, fault.line, fault.column) == ("duplicate-key", 5, 1)
    assert document.front["type"] == "workflow"


def test_a_duplicate_key_deep_inside_is_found_too():
    document = front("a:\n  b: 1\n  b: {c: 2, c: 3}")
    assert [(f.code, f.line, f.column) for f in document.faults] == [
        ("duplicate-key", 4, 3),
        ("duplicate-key", 4, 13),
    ]
    assert document.front == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: &x 1\nb: *x", "yaml-alias"),
        ("a: *x", "yaml-alias"),
        ("a: !!python/object/apply:os.system [x]", "yaml-tag"),
        ("a: !thing 1", "yaml-tag"),
        ("a: !!str 1", "yaml-tag"),
        ("a: [*]", "yaml-syntax"),
        ("a: @x", "yaml-syntax"),
        ("a: %x", "yaml-syntax"),
        ("a: 1\n...\n--- \nb: 2", "yaml-documents"),
        ("{a: 1}: 2", "yaml-key"),
        ("? [a]\n: 2", "yaml-key"),
        ("a: \x01", "yaml-character"),
        ("- a", "front-matter-kind"),
        ("just words", "front-matter-kind"),
        ("a: " + "[" * 33 + "]" * 33, "yaml-depth"),
        ("a: " + "[" * 100_000, "yaml-depth"),
        ("a:\n" + "".join(" " * i + "b:\n" for i in range(1, 60)), "yaml-depth"),
        ("a: [" + "1," * 30_000 + "]", "yaml-values"),
    ],
)
def test_unsafe_or_broken_yaml_is_refused_with_its_reason(text, code):
    tree = read_yaml(text)
    document = front(text)
    assert code in codes(document) or code in [f.code for f in tree.faults]
    assert any(f.severity is Severity.ERROR for f in document.faults) or tree.faults


def test_a_yaml_bomb_is_refused_before_it_grows():
    rows = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    for before, name in pairwise("abcdefghi"):
        rows.append(f"{name}: &{name} [" + ",".join([f"*{before}"] * 9) + "]")
    begun = time.perf_counter()
    document = front("\n".join(rows))
    assert codes(document) == ["yaml-alias"]
    assert time.perf_counter() - begun < 1


def test_nesting_of_the_depth_limit_is_read():
    text = "a: " + "[" * 31 + "]" * 31
    assert codes(front(text)) == []


def test_a_ruler_is_a_line_of_its_own():
    document = front("a: x --- y\nb: |\n  ---\n  text")
    assert document.front == {"a": "x --- y", "b": "---\ntext\n"}


def test_front_matter_that_is_never_closed_is_an_error():
    document = read("loose-90-unclosed.maml")
    assert document.front is None
    assert codes(document) == ["front-matter-open"]
    with pytest.raises(MamlError, match="line 1, column 1"):
        document.require_sound()


def test_front_matter_deeper_in_the_text_is_found():
    document = read("loose-02-embedded-front-matter.maml.md")
    assert document.embedded
    assert document.front["maml_version"] == "0.1.0"
    assert document.position_of_key("maml_version") == (7, 1)
    assert [s.key for s in document.sections] == ["intent"]


def test_a_ruler_in_prose_is_not_front_matter():
    document = parse(b"# Title\n\ntext\n\n---\n\nmode of transport: rover\n\n---\n## Intent\nx\n")
    assert document.front is None
    assert not document.embedded


def test_bom_and_crlf_are_read_with_right_places():
    document = read("guide-03-crlf-bom.maml")
    assert document.front["buffer-size"] == "512KiB"
    assert document.position_of("buffer-size") == (5, 14)
    assert [(i.key, i.value) for i in document.items] == [("mesh-id", "mars-ble-001")]


def test_columns_count_code_points():
    document = front('icon: "🐪" \nb: [é, *x]')
    fault = document.faults[0]
    assert (fault.line, fault.column) == (3, 8)


def test_lines_that_yaml_1_1_sees_but_commonmark_does_not_do_not_shift_places():
    document = front('a: "x\u2028y"\nb: *x')
    assert (document.faults[0].line, document.faults[0].column) == (3, 4)


def test_headings_and_rulers_inside_fences_are_text():
    document = read("core-03-history-and-fences.maml.md")
    keys = [s.key for s in document.sections]
    assert keys.count("intent") == 1
    assert keys.count("history") == 1
    assert [f.language for f in document.fences] == ["markdown", "bash"]
    assert document.fences[0].text.startswith("---\n## History\n```python\n")


@pytest.mark.parametrize(
    ("body", "languages", "sections"),
    [
        ("```py\n## A\n```\n## B\n", ["py"], ["b"]),
        ("````\n```\n## A\n````\n", [""], []),
        ("~~~ JSON x\n```\n~~~\n", ["json"], []),
        ("```a`b\n## A\n", [], ["a"]),
        ("   ```\n## A\n   ```\n", [""], []),
        ("    ```\n## A\n", [], ["a"]),
        ("```\n``` x\n## A\n```\n", [""], []),
        ("```\n    ```\n## A\n```\n", [""], []),
        ("```\n## A\n", [""], []),
        ("##\n", [], [""]),
        ("##A\n", [], []),
        ("   ## A ##   \n", [], ["a"]),
        ("    ## A\n", [], []),
        ("## A#\n", [], ["a"]),
        ("<!--\n## A\n-->\n## B\n", [], ["b"]),
        ("<!-- x --> \n## B\n", [], ["b"]),
        ("## A\r## B\r\n## C", [], ["a", "b", "c"]),
    ],
)
def test_fences_and_headings_follow_commonmark(body, languages, sections):
    document = parse(body.encode())
    assert languages == [f.language for f in document.fences]
    assert sections == [s.key for s in document.sections]


@pytest.mark.parametrize(
    "title",
    ["Input_Schema", "🐪 Input Schema", "INPUT SCHEMA 🚀", "input-schema", " Input__Schema:"],
)
def test_section_names_are_folded(title):
    assert section_key(title) == "input_schema"


def test_list_items_are_read_with_their_place():
    document = read("guide-02-large-buffer.maml")
    assert [(i.key, i.value) for i in document.items] == [
        ("mesh-id", "mars-ble-001"),
        ("failover", "local"),
        ("table", "lunar-data"),
    ]
    assert document.position(document.items[2].start) == (10, 10)


def test_bidi_and_control_characters_are_remarked():
    document = parse("## Intent\nab\u202ecd\x1b[31m\n".encode())
    assert [(f.code, f.line, f.column) for f in document.faults] == [
        ("bidi-control", 2, 3),
        ("control-character", 2, 6),
    ]


def test_only_so_many_marks_are_reported():
    assert len(parse(("\u202e" * 1000).encode()).faults) == 5


def test_what_is_not_utf_8_is_refused_with_its_place():
    with pytest.raises(MamlError, match="line 2, column 3") as caught:
        parse("é\nxy\xff".encode("latin-1").replace(b"\xe9", "é".encode()))
    assert caught.value.code == "not-utf-8"


def test_a_document_above_the_limit_is_refused_and_read_when_asked():
    data = b"## Intent\n" + b"x" * 300_000
    with pytest.raises(MamlError) as caught:
        parse(data)
    assert caught.value.code == "too-large"
    assert "--max-size" in caught.value.hint
    assert parse(data, max_bytes=400_000).section("intent") is not None


def test_no_option_raises_the_hard_limit():
    with pytest.raises(MamlError):
        parse(b"x" * 1_000_001, max_bytes=10**9)


@pytest.mark.parametrize("text", ["", "\n", "a", "a\n", "a\r\nb", "a\r\r\nb\n", "\n\n"])
def test_lines_join_to_the_text(text):
    lines = Lines(text)
    joined = "".join(text[lines.starts[n] : lines.after(n)] for n in range(len(lines)))
    assert text == joined
    assert (1, 1) == lines.position(0)


@pytest.mark.parametrize(
    "text",
    [
        "##" + " " * 200_000 + "x",
        "- a" + " " * 200_000 + "x",
        "```" + "`" * 200_000,
        "<!--" * 60_000,
        "`" * 3 + "\n" + "``\n" * 60_000,
        "---\n" * 60_000,
        "---\na: " + "- " * 60_000 + "\n---\n",
        "---\n" + "a:\n" * 60_000 + "---\n",
        "---\na: '" + "''" * 100_000 + "\n---\n",
        "---\n" + "{" * 200_000 + "\n---\n",
        "---\n" + "? " * 100_000 + "\n---\n",
        "---\n" + "%" * 200_000 + "\n---\n",
        "---\na: |\n" + " x\n" * 60_000 + "---\n",
        "---\na: " + "x: " * 60_000 + "\n---\n",
        "## History\n" + "- [" * 60_000,
    ],
)
def test_hostile_texts_take_no_long_time(text):
    begun = time.perf_counter()
    parse(text.encode())
    assert time.perf_counter() - begun < 2
