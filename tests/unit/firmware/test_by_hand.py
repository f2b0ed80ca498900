"""UF2 volumes and debug probes: nodes that cannot be asked."""

import sys
import types

import pytest
from firmware_boards import image
from uf2_making import INFO, uf2

from dunes.crypto.identity import create_identity
from dunes.errors import NotFound, StorageError, UsageError
from dunes.firmware import copy
from dunes.firmware.byhand import by_hand
from dunes.firmware.catalogue import Folder, add
from dunes.firmware.copy import copy_uf2, read_volume
from dunes.firmware.errors import Reason
from dunes.firmware.flash import Flasher
from dunes.firmware.image import parse_image
from dunes.firmware.manifest import Wanted, manifest_of, manifest_of_uf2
from dunes.firmware.probe import chip_of_board, flash_by_probe
from dunes.firmware.shelf import open_shelf
from dunes.firmware.target import parse_target
from dunes.firmware.version import Version
from dunes.paths import find_paths

FEATHER = "adafruit_feather_nrf52840/nrf52840/uf2"
DK = "nrf52840dk/nrf52840"


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    paths = find_paths({"DUNES_HOME": str(tmp_path_factory.mktemp("home"))})
    return paths, create_identity(paths)


@pytest.fixture
def shelf(identity, tmp_path):
    """A shelf with a UF2 file, one for another chip, and an MCUboot image."""
    paths, own = identity
    folder = Folder(tmp_path / "catalogue")
    for board, family in [(FEATHER, 0xADA52840), ("rpi_pico/rp2040", 0xE48BFF56)]:
        data = uf2(4, family=family)
        manifest = manifest_of_uf2(data, "ble-mesh", Version(1, 2), board, "")
        add(folder, manifest, data, own.signing)
    data = image(board=DK)
    manifest = manifest_of(parse_image(data), "ble-mesh", DK, "", address=0xC000)
    add(folder, manifest, data, own.signing)
    return open_shelf(paths, 0, more=[folder])


@pytest.fixture
def volume(tmp_path):
    path = tmp_path / "FTHR840BOOT"
    path.mkdir()
    (path / "INFO_UF2.TXT").write_text(INFO)
    return path


def flasher(shelf, kind="uf2", board="", **more):
    variants = shelf.named(Wanted.parse("ble-mesh-v1.2"), kind, board)
    given = {"force": None, "dry_run": False, "keep": True, "timeout_s": 5.0} | more
    return Flasher(shelf, variants, **given)


def test_a_uf2_file_is_copied_to_the_volume_of_its_chip(shelf, volume):
    seen = []
    tell = lambda _node, _stage, done, _total: seen.append(done)  # noqa: E731 - short
    row = by_hand(flasher(shelf, tell=tell), parse_target(f"uf2:{volume}"))
    assert ("copied", "nRF52840-Feather-revD", 0) == (row.result, row.board, row.exit)
    assert uf2(4) == (volume / "FIRMWARE.UF2").read_bytes()
    assert 4 * 512 == seen[-1] == row.sent_bytes


def test_a_dry_run_copies_nothing(shelf, volume):
    row = by_hand(flasher(shelf, dry_run=True), parse_target(f"uf2:{volume}"))
    assert "would-update" == row.result
    assert not (volume / "FIRMWARE.UF2").exists()


def test_a_file_for_another_chip_is_refused_unless_it_is_forced(shelf, volume):
    other = flasher(shelf, board="rpi_pico/rp2040")
    row = by_hand(other, parse_target(f"uf2:{volume}"))
    assert ("refused", "firmware-other-board", 77) == (row.result, row.code, row.exit)
    assert "rp2040" in row.message
    forced = flasher(shelf, board="rpi_pico/rp2040", force=Reason.OTHER_BOARD)
    assert "copied" == by_hand(forced, parse_target(f"uf2:{volume}")).result


def test_a_volume_that_does_not_say_its_chip_is_refused(shelf, volume):
    (volume / "INFO_UF2.TXT").write_text("UF2 Bootloader\nModel: Mystery\n")
    row = by_hand(flasher(shelf), parse_target(f"uf2:{volume}"))
    assert "firmware-other-board" == row.code


def test_a_folder_that_is_no_volume_is_told_so(shelf, tmp_path):
    row = by_hand(flasher(shelf), parse_target(f"uf2:{tmp_path}"))
    assert ("failed", "no-uf2-volume", 66) == (row.result, row.code, row.exit)
    with pytest.raises(NotFound):
        read_volume(tmp_path / "none")


def test_a_volume_that_goes_away_after_the_last_block_has_taken_all(volume, monkeypatch):
    def gone(_descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(copy.os, "fsync", gone)
    copy_uf2(uf2(), read_volume(volume), lambda _done: None)


def test_a_volume_that_goes_away_before_that_is_an_error(volume, monkeypatch):
    monkeypatch.setattr(copy, "PIECE_BYTES", 512)

    def tell(done):
        if done == 1024:
            raise OSError(5, "Input/output error")

    with pytest.raises(StorageError) as broken:
        copy_uf2(uf2(4), read_volume(volume), tell)
    assert "1024 of 2048" in broken.value.message


# ---------------------------------------------------------------- debug probes


def test_without_pyocd_a_probe_is_refused_with_what_to_install(shelf):
    row = by_hand(flasher(shelf, "mcuboot"), parse_target("probe:"))
    assert ("failed", "no-pyocd", 78) == (row.result, row.code, row.exit)
    assert "dunes-mcp[probe]" in row.hint


def test_a_probe_wants_an_address_and_a_chip_that_is_known():
    plain = manifest_of(parse_image(image(board=DK)), "ble-mesh", DK, "")
    with pytest.raises(UsageError) as no_address:
        flash_by_probe(plain, b"", "", print)
    assert "--address" in no_address.value.hint
    assert "nrf52840" == chip_of_board(DK)
    with pytest.raises(UsageError):
        chip_of_board("esp32_devkitc/esp32/procpu")


class Target:
    """The memory behind a probe, as pyOCD shows it."""

    def __init__(self, broken=False):
        self.memory, self.resets, self.broken = {}, 0, broken

    def read_memory_block8(self, address, size):
        return [self.memory[address + at] ^ self.broken for at in range(size)]

    def reset(self):
        self.resets += 1


@pytest.fixture
def pyocd(monkeypatch):
    """Stand in for pyOCD's three names, with the signatures of pyOCD 0.46."""
    state = types.SimpleNamespace(probes=["0685"], target=Target(), options=None, fail=None)

    class Error(RuntimeError):
        pass

    class Session:
        target = state.target

        def __enter__(self):
            self.target = state.target
            return self

        def __exit__(self, *_args):
            return None

    class ConnectHelper:
        @staticmethod
        def get_all_connected_probes(*, blocking, unique_id):
            assert not blocking
            found = [p for p in state.probes if unique_id is None or unique_id in p]
            return [types.SimpleNamespace(unique_id=p) for p in found]

        @staticmethod
        def session_with_chosen_probe(*, unique_id, blocking, **options):
            assert not blocking
            state.options = options | {"unique_id": unique_id}
            return Session()

    class FileProgrammer:
        def __init__(self, session, progress):
            self.session, self.progress = session, progress

        def program(self, file, *, file_format, base_address):
            if state.fail:
                raise Error(state.fail)
            assert "bin" == file_format
            for at, octet in enumerate(file.read()):
                self.session.target.memory[base_address + at] = octet
            self.progress(1.0)

    for name, found in {
        "pyocd": {},
        "pyocd.core": {},
        "pyocd.core.exceptions": {"Error": Error},
        "pyocd.core.helpers": {"ConnectHelper": ConnectHelper},
        "pyocd.flash": {},
        "pyocd.flash.file_programmer": {"FileProgrammer": FileProgrammer},
    }.items():
        module = types.ModuleType(name)
        module.__dict__.update(found)
        monkeypatch.setitem(sys.modules, name, module)
    return state


def test_a_probe_writes_at_the_address_reads_back_and_resets(shelf, pyocd):
    row = by_hand(flasher(shelf, "mcuboot"), parse_target("probe:0685"))
    assert ("updated", DK, "1.2.0") == (row.result, row.board, row.now), row.message
    assert image(board=DK) == bytes(
        pyocd.target.memory[0xC000 + at] for at in range(len(image(board=DK)))
    )
    assert 1 == pyocd.target.resets
    assert {"target_override": "nrf52840", "unique_id": "0685"} == pyocd.options


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"probes": []}, "no-probe"),
        ({"probes": ["1", "2"]}, "no-probe"),
        ({"fail": "no ACK"}, "probe-failed"),
        ({"target": Target(broken=True)}, "storage"),
    ],
    ids=["none", "two", "silent", "broken"],
)
def test_what_goes_wrong_at_a_probe_is_told(shelf, pyocd, change, code):
    for name, value in change.items():
        setattr(pyocd, name, value)
    row = by_hand(flasher(shelf, "mcuboot"), parse_target("probe:"))
    assert ("failed", code) == (row.result, row.code), row.message
