"""The node firmware's headers write and read the same octets as the gateway's code."""

import random
import re
import shutil
import subprocess

import pytest
from tools_of_the_house import ROOT, habitat_header

from dunes.mesh.models.habitat import habitat
from dunes.mesh.models.sensor import Marshalled, marshal

INCLUDE = ROOT / "firmware/ble-mesh/include"
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"]
CASES = 60


def test_the_header_is_what_the_definition_says():
    assert habitat_header.write_header(habitat()) == habitat_header.HEADER.read_text("utf-8")
    assert 0 == habitat_header.main(["--check"])


def test_a_changed_definition_is_noticed(tmp_path, monkeypatch):
    other = tmp_path / "habitat.h"
    other.write_text("#define HABITAT_COMPANY 0x1234\n")
    monkeypatch.setattr(habitat_header, "HEADER", other)
    assert 1 == habitat_header.main(["--check"])


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Compile a program; gives what runs it with lines on its stdin."""
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        pytest.skip("needs gcc")
    folder = tmp_path_factory.mktemp("c")

    def build(name, text):
        source, program = folder / f"{name}.c", folder / name
        source.write_text(text)
        subprocess.run(
            [gcc, *FLAGS, f"-I{INCLUDE}", "-fsanitize=undefined", "-fno-sanitize-recover",
             str(source), "-o", str(program)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip

        def run(lines):
            done = subprocess.run(
                [str(program)], input="\n".join(lines) + "\n", check=True, capture_output=True,
                text=True,
            )  # fmt: skip
            return done.stdout.splitlines()

        return run

    return build


MAIN = """
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "habitat.h"

static void show(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        printf("%02x", data[i]);
    }
}

int main(void)
{
    char name[32];

    while (scanf("%31s", name) == 1) {
@CASES@
        return 1;
    }
    return 0;
}
"""

CASE = """
        if (strcmp(name, "@NAME@") == 0) {
            struct habitat_@NAME@ in, out;
            uint8_t data[HABITAT_@UPPER@_SIZE];
            int64_t v[@COUNT@];
            for (size_t i = 0; i < @COUNT@; i++) {
                if (scanf("%" SCNd64, &v[i]) != 1) {
                    return 1;
                }
            }
            @READ@
            habitat_@NAME@_encode(&in, data);
            habitat_@NAME@_decode(data, &out);
            show(data, sizeof(data));
            @SHOW@
            printf("\\n");
            continue;
        }
"""


def case_of(layout):
    name = habitat_header.snake(layout.name)
    fields = layout.fields
    read = " ".join(
        f"in.{f.name} = ({habitat_header.c_type(f)})v[{i}];" for i, f in enumerate(fields)
    )
    show = " ".join(f'printf(" %" PRId64, (int64_t)out.{f.name});' for f in fields)
    return (
        CASE.replace("@NAME@", name)
        .replace("@UPPER@", name.upper())
        .replace("@COUNT@", str(len(fields)))
        .replace("@READ@", read)
        .replace("@SHOW@", show)
    )


def values_of(field, rng):
    low = -(1 << field.bits - 1) if field.signed else 0
    high = low + (1 << field.bits) - 1
    return rng.choice([low, high, 0, rng.randint(low, high)])


def test_both_sides_write_and_read_the_same_octets(compiled):
    layouts = habitat().messages.values()
    run = compiled("habitat", MAIN.replace("@CASES@", "".join(map(case_of, layouts))))
    rng = random.Random(16)
    lines, wanted = [], []
    for layout in layouts:
        for _ in range(CASES):
            values = {field.name: values_of(field, rng) for field in layout.fields}
            numbers = " ".join(map(str, values.values()))
            lines.append(f"{habitat_header.snake(layout.name)} {numbers}")
            wanted.append(f"{layout.pack(values).hex()} {numbers}")
    assert wanted == run(lines)


def test_opcodes_and_kinds_are_those_of_the_definition():
    text = habitat_header.HEADER.read_text("utf-8")
    for layout in habitat().messages.values():
        name = habitat_header.snake(layout.name).upper()
        assert f"#define HABITAT_OP_{name} 0x{layout.number:02X}\n" in text
        assert f"#define HABITAT_{name}_SIZE {layout.size}\n" in text
    for kind in habitat().kinds.values():
        assert f"#define HABITAT_KIND_{kind.name.upper()} {kind.code} /*" in text


SENSOR = """
#include <inttypes.h>
#include <stdio.h>
#include "sensor_wire.h"

int main(void)
{
    int value;
    uint8_t data[SENSOR_FORMAT_A_SIZE(2)], none[3];

    while (scanf("%d", &value) == 1) {
        sensor_format_a_16(SENSOR_PROPERTY_DEVICE_TEMPERATURE, (int16_t)value, data);
        printf("%02x%02x%02x%02x ", data[0], data[1], data[2], data[3]);
        sensor_format_b_none(0x1234, none);
        printf("%02x%02x%02x\\n", none[0], none[1], none[2]);
    }
    return 0;
}
"""


def test_a_sensor_status_of_the_firmware_is_read_by_the_gateway(compiled):
    run = compiled("sensor", SENSOR)
    values = [0, 1, -1, 2150, -4000, 32767, -32768]
    wanted = [marshal([Marshalled(0x0054, v.to_bytes(2, "little", signed=True))]) for v in values]
    none = marshal([Marshalled(0x1234, None)])
    assert [f"{each.hex()} {none.hex()}" for each in wanted] == run(map(str, values))


def test_the_firmware_names_every_file_it_consists_of():
    folder = ROOT / "firmware/ble-mesh"
    text = (folder / "CMakeLists.txt").read_text()
    sources = sorted(path.name for path in (folder / "src").glob("*.c"))
    assert sources == [
        line.strip().removeprefix("src/") for line in sorted(text.splitlines()) if "src/" in line
    ]


APP = ROOT / "firmware/ble-mesh"
SOURCES = "\n".join(path.read_text("utf-8") for path in sorted((APP / "src").glob("*.[ch]")))


def test_every_option_of_the_firmware_is_declared_and_used():
    declared = set(
        re.findall(r"^config (DUNES_\w+)$", (APP / "Kconfig").read_text(), re.MULTILINE)
    )
    used = set(re.findall(r"\bCONFIG_(DUNES_\w+)\b", SOURCES))
    followed = set(
        re.findall(r"^\tdefault (DUNES_\w+)$", (APP / "Kconfig").read_text(), re.MULTILINE)
    )
    assert declared == used | followed


def test_every_board_has_the_aliases_that_the_sources_want():
    wanted = {name.replace("_", "-") for name in re.findall(r"DT_ALIAS\((\w+)\)", SOURCES)}
    overlays = sorted((APP / "boards").glob("*.overlay"))
    assert overlays
    for overlay in overlays:
        text = re.sub(r"/\*.*?\*/", "", overlay.read_text(), flags=re.DOTALL)
        assert wanted == set(re.findall(r"^\t\t([\w-]+) = &\w+;$", text, re.MULTILINE)), (
            overlay.name
        )
        assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    ("name", "prefix"), [("prj.conf", "CONFIG_"), ("sysbuild.conf", "SB_CONFIG_")]
)
def test_settings_are_each_said_once(name, prefix):
    lines = [
        line for line in (APP / name).read_text().splitlines() if line and not line.startswith("#")
    ]
    assert all(re.fullmatch(rf"{prefix}[A-Z0-9_]+=(y|n|\d+|\".*\")", line) for line in lines)
    names = [line.partition("=")[0] for line in lines]
    assert sorted(set(names)) == sorted(names)


def test_the_version_of_the_firmware_is_the_one_that_the_guide_flashes():
    version = dict(re.findall(r"^(\w+) = (\d+)$", (APP / "VERSION").read_text(), re.MULTILINE))
    assert ("1", "2", "0") == (
        version["VERSION_MAJOR"], version["VERSION_MINOR"], version["PATCHLEVEL"],
    )  # fmt: skip
