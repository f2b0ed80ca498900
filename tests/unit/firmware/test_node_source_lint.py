"""The Zephyr application's Kconfig and device tree, as far as Zephyr is not needed for it."""

import re
import shutil
import subprocess
from pathlib import Path

import kconfiglib
import pytest

NODE = Path(__file__).resolve().parents[3] / "firmware/ble-mesh"
BOARD = """\
/dts-v1/;
/ {
    aliases { };
    leds { led0: led_0 { }; };
    soc { temp: temp { status = "disabled"; }; };
};
"""
"""What an overlay of ours refers to of a board; Zephyr appends overlays likewise."""
ASSIGNED = re.compile(r"^CONFIG_(\w+)=(.+)$", re.MULTILINE)


@pytest.fixture
def kconfig(tmp_path, monkeypatch):
    """The application's Kconfig; Zephyr's own is an empty file here."""
    (tmp_path / "Kconfig").write_text((NODE / "Kconfig").read_text())
    (tmp_path / "Kconfig.zephyr").write_text("")
    monkeypatch.chdir(tmp_path)
    found = kconfiglib.Kconfig("Kconfig", warn_to_stderr=False)
    assert [] == [each for each in found.warnings if "BT_DEVICE_NAME" not in each]
    return found


def test_kconfig_parses_and_says_what_each_option_is(kconfig):
    own = {each.name: each for each in kconfig.unique_defined_syms if "DUNES" in each.name}
    assert own
    for symbol in own.values():
        assert symbol.nodes[0].prompt, f"{symbol.name} has no prompt"
        assert symbol.type in (kconfiglib.INT, kconfiglib.STRING, kconfiglib.BOOL)
        if symbol.type == kconfiglib.INT:
            assert symbol.ranges, f"{symbol.name} has no range"


def test_defaults_lie_in_their_ranges(kconfig):
    for symbol in kconfig.unique_defined_syms:
        for low, high, _ in symbol.ranges:
            assert int(low.str_value) <= int(symbol.str_value) <= int(high.str_value)


def test_the_source_uses_no_option_of_ours_that_is_not_defined(kconfig):
    used = {
        name
        for path in NODE.rglob("*.[ch]")
        for name in re.findall(r"CONFIG_(DUNES_\w+)", path.read_text())
    }
    defined = {each.name for each in kconfig.unique_defined_syms if "DUNES" in each.name}
    assert defined - {"DUNES_NODE_NAME"} <= used | {"DUNES_NODE_NAME"}, "an option nobody reads"
    assert used <= defined


def test_the_configuration_sets_each_option_once():
    text = (NODE / "prj.conf").read_text()
    names = [option for option, _ in ASSIGNED.findall(text)]
    assert sorted(set(names)) == sorted(names)
    lines = [row for row in text.splitlines() if row and not row.startswith("#")]
    assert len(lines) == len(names), "a line that sets nothing"


def test_the_overlay_compiles(tmp_path):
    if shutil.which("dtc") is None:
        pytest.skip("needs dtc (package device-tree-compiler)")
    for path in sorted((NODE / "boards").glob("*.overlay")):
        source = tmp_path / "overlay.dts"
        source.write_text(BOARD + path.read_text())
        done = subprocess.run(
            ["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", str(tmp_path / "out.dtb"), str(source)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (done.returncode, done.stderr), path.name
