"""`dunes flash-node` and `dunes firmware`, typed, against boards that are other processes."""

import json
import signal
import ssl
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jsonschema
import pytest
from firmware_making import sign_image
from flash_typed import BOARD, BUILT_FOR, flash, only, udp

from dunes.uplink.tls import find_certificate


@pytest.mark.parametrize("way", ["udp", "serial"])
def test_a_node_is_flashed_and_keeps_it(stocked, board, way):
    where = board()
    device = udp(where) if way == "udp" else where["pty"]
    exit_, report, stderr = flash(stocked, "--firmware", "ble-mesh-v1.2", "--device", device)
    row = only(report)
    assert (0, "updated", "1.1.0", "1.2.0") == (exit_, row["result"], row["before"], row["now"])
    assert (BOARD, way, False) == (row["board"], row["way"], row["simulated"])
    assert row["sent_bytes"] > 20000
    assert "confirm" in stderr
    schema = json.loads(stocked("dunes", "flash-node", "--schema").stdout)
    jsonschema.validate(report, schema)

    exit_, report, _ = flash(stocked, "--firmware", "ble-mesh-v1.2", "--device", device)
    assert (0, "up-to-date", 0) == (exit_, only(report)["result"], only(report)["sent_bytes"])


def test_a_dry_run_asks_and_changes_nothing(stocked, board):
    where = board()
    for _ in range(2):
        exit_, report, _ = flash(
            stocked, "--firmware", "ble-mesh-v1.2", "--device", udp(where), "--dry-run"
        )
        assert (0, "would-update", True) == (exit_, only(report)["result"], report["dry_run"])


def test_several_nodes_are_flashed_at_once(stocked, board):
    first, second, third = board(), board(factory="1.2.0"), board()
    devices = [("--device", udp(where)) for where in (first, second)]
    exit_, report, _ = flash(
        stocked, "--firmware", "ble-mesh", *(text for pair in devices for text in pair),
        "--device", third["pty"],
    )  # fmt: skip
    assert 0 == exit_
    assert ["up-to-date", "updated", "updated"] == sorted(r["result"] for r in report["nodes"])
    assert (2, 0) == (report["updated"], report["failed"])


def test_an_upload_that_breaks_off_goes_on_where_the_node_stopped(stocked, board):
    where = board("--die-after", "6")
    exit_, report, _ = flash(stocked, "--firmware", "ble-mesh-v1.2", "--device", udp(where))
    row = only(report)
    assert (0, "updated", 1) == (exit_, row["result"], row["breaks"])


def when_deaf(argv, environment, home, where):
    """Run a command until the board that it flashes has become deaf."""
    process = subprocess.Popen(
        argv, env=environment, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert "deaf\n" == where["said"].readline()
    return process


def test_a_command_that_was_killed_is_taken_up_by_the_next(stocked, board, environment, home):
    where = board("--die-after", "8", "--deaf-s", "1")
    argv = ["dunes", "flash-node", "--firmware", "ble-mesh-v1.2", "--device", udp(where)]
    process = when_deaf(argv, environment, home, where)
    process.kill()
    process.communicate()
    exit_, report, _ = flash(stocked, *argv[2:])
    row = only(report)
    assert (0, "updated") == (exit_, row["result"])
    assert row["resumed_bytes"] > 5000
    assert (
        row["resumed_bytes"] + row["sent_bytes"]
        == (home / "dunes/data/firmware")
        .joinpath("ble-mesh-v1.2/nrf52840dk_nrf52840/image.bin")
        .stat()
        .st_size
    )


def test_lost_datagrams_delay_and_do_not_fail(stocked, board):
    exit_, report, _ = flash(
        stocked, "--firmware", "ble-mesh-v1.2", "--device", udp(board("--lose", "17"))
    )
    assert (0, "updated") == (exit_, only(report)["result"])


def test_firmware_that_dies_is_taken_back_and_that_is_a_no(stocked, board):
    where = board("--crash")
    exit_, report, _ = flash(stocked, "--firmware", "ble-mesh-v1.2", "--device", udp(where))
    row = only(report)
    assert (1, "reverted", "firmware-reverted") == (exit_, row["result"], row["code"])
    assert "it runs 1.1.0" in row["message"]


def test_without_confirmation_it_stays_on_trial(stocked, board):
    where = board()
    argv = ("--firmware", "ble-mesh-v1.2", "--device", udp(where))
    assert "on-trial" == only(flash(stocked, *argv, "--no-confirm")[1])["result"]
    assert "updated" == only(flash(stocked, *argv)[1])["result"]


def test_a_downgrade_is_refused_unless_it_is_forced(stocked, board):
    where = board()
    argv = ("--firmware", "ble-mesh-v1.0", "--device", udp(where))
    exit_, report, _ = flash(stocked, *argv)
    assert (77, "refused") == (exit_, only(report)["result"])
    assert "firmware-downgrade" == only(report)["code"]
    assert "--force downgrade" in only(report)["hint"]
    exit_, report, _ = flash(stocked, *argv, "--force", "other-board")
    assert (77, "firmware-downgrade") == (exit_, only(report)["code"])
    exit_, report, stderr = flash(stocked, *argv, "--force", "downgrade")
    assert (0, "updated", "1.0.0") == (exit_, only(report)["result"], only(report)["now"])
    assert "warning: --force downgrade" in stderr


def test_a_policy_can_forbid_to_flash_a_node_and_the_answer_is_on_record(stocked, board):
    device = udp(board())
    rule = ("--action", "node.flash", "--device", device, "--reason", "it is in use")
    assert 0 == stocked("sakina", "restrict", *rule).returncode
    argv = ("--firmware", "ble-mesh-v1.2", "--device", device)
    assert "would-update" == only(flash(stocked, *argv, "--dry-run")[1])["result"]
    exit_, report, _ = flash(stocked, *argv)
    assert (77, "refused") == (exit_, only(report)["result"])
    assert ("not-authorised", 0) == (only(report)["code"], only(report)["sent_bytes"])
    assert "it is in use" in only(report)["message"]
    record = stocked("sakina", "log", "--json")
    assert "node.flash" in record.stdout


def test_another_board_is_refused_unless_it_is_forced(stocked, board):
    where = board(name="nrf5340dk")
    argv = ("--firmware", "ble-mesh-v1.2", "--device", udp(where))
    exit_, report, _ = flash(stocked, *argv)
    assert (77, "firmware-other-board") == (exit_, only(report)["code"])
    # a person may think so; the bootloader still knows better
    exit_, report, _ = flash(stocked, *argv, "--force", "other-board")
    assert (1, "reverted") == (exit_, only(report)["result"])
    assert "its bootloader refused the image" in only(report)["message"]


def test_firmware_that_a_stranger_signed_is_refused_before_a_node_is_asked(
    typed, board, built, tmp_path
):
    other = tmp_path / "other"
    made = typed("dunes", "keygen", "--machine-bound", DUNES_HOME=str(other))
    assert 0 == made.returncode, made.stderr
    catalogue = tmp_path / "catalogue"
    added = typed(
        "dunes", "firmware", "add", str(built["1.2.0"]), "--catalogue", str(catalogue),
        DUNES_HOME=str(other),
    )  # fmt: skip
    assert 0 == added.returncode, added.stderr
    argv = ("--firmware", "ble-mesh-v1.2", "--catalogue", str(catalogue))
    nobody = ("--device", "udp:127.0.0.1:9")
    done = typed("dunes", "flash-node", *argv, *nobody)
    assert 77 == done.returncode
    assert "may sign no firmware here" in done.stderr
    assert "--force stranger" in done.stderr
    exit_, report, _ = flash(typed, *argv, "--device", udp(board()), "--force", "stranger")
    assert (0, "updated") == (exit_, only(report)["result"])

    document = next((other / "keys/public").glob("*.pub.maml"))
    trusted = typed("dunes", "keys", "trust", str(document), "--role", "operator", "--yes")
    assert 0 == trusted.returncode, trusted.stderr
    exit_, report, _ = flash(typed, *argv, "--device", udp(board()))
    assert (0, "updated") == (exit_, only(report)["result"])


def test_truncated_and_damaged_images_are_refused_before_a_node_is_asked(stocked, home):
    image = home / "dunes/data/firmware/ble-mesh-v1.2/nrf52840dk_nrf52840/image.bin"
    whole = image.read_bytes()
    argv = ("dunes", "flash-node", "--firmware", "ble-mesh-v1.2", "--device", "udp:127.0.0.1:9")
    for data, word in [
        (whole[:-100], "truncated"),
        (whole[:-1] + bytes([whole[-1] ^ 1]), "not the one"),
    ]:
        image.write_bytes(data)
        done = stocked(*argv)
        assert 77 == done.returncode
        assert word in done.stderr
    done = stocked(*argv, "--force", "damaged")
    assert 65 == done.returncode
    assert "cannot be forced" in done.stderr


def test_a_changed_manifest_is_no_firmware(stocked, home):
    folder = home / "dunes/data/firmware/ble-mesh-v1.2/nrf52840dk_nrf52840"
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"about": ""', '"about": "better"'))
    done = stocked("dunes", "flash-node", "--firmware", "ble-mesh-v1.2", "--device", "udp:h")
    assert 1 == done.returncode
    assert "changed since" in done.stderr
    listed = json.loads(stocked("dunes", "firmware", "list", "--json").stdout)
    assert (2, 1) == (len(listed["firmware"]), len(listed["bad"]))


@pytest.mark.parametrize(
    ("argv", "exit_", "said"),
    [
        (("--device", "udp:127.0.0.1:9", "--timeout", "1s"), 69, "does not answer"),
        (("--device", "/dev/nonesuch"), 66, "no serial line"),
        (("--device", "mqtt:x"), 2, "names no node"),
        (("--device", "uf2:/nonesuch"), 66, "no firmware ble-mesh-v1.2 of kind uf2"),
        (("--device", "udp:h", "--parallel", "0"), 2, "not within 1 and 64"),
        (("--device", "udp:h", "--timeout", "5"), 2, "has no unit"),
        (("--device", "udp:h", "--force", "all"), 65, "cannot be forced"),
        (("--device", "udp:h", "--catalogue", "/nonesuch"), 66, "no folder"),
        (("--device", "udp:h", "--catalogue", "http://h"), 2, "no address of a firmware"),
        (("--device", "probe:"), 78, "needs pyOCD"),
        (("--device", "udp:h", "--device", "uf2:/x"), 2, "one kind at a time"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_done_is_said_with_its_exit_code(stocked, argv, exit_, said):
    done = stocked("dunes", "flash-node", "--firmware", "ble-mesh-v1.2", *argv)
    assert exit_ == done.returncode, done.stdout + done.stderr
    assert said in done.stdout + done.stderr


def test_firmware_that_nobody_has_is_not_found(stocked):
    done = stocked("dunes", "flash-node", "--firmware", "ble-mesh-v9.9")
    assert 66 == done.returncode
    assert "no firmware ble-mesh-v9.9" in done.stderr
    assert "there is ble-mesh-v1.0, ble-mesh-v1.1, ble-mesh-v1.2" in done.stderr


def test_the_catalogue_is_listed_and_shown(stocked):
    listed = stocked("dunes", "firmware", "list")
    assert 0 == listed.returncode
    assert "ble-mesh-v1.2  nrf52840dk/nrf52840" in listed.stdout
    shown = stocked("dunes", "firmware", "show", "ble-mesh-v1.2")
    assert 0 == shown.returncode
    for text in ("Ed25519", "signed by", "hash_algorithm"):
        assert text in shown.stdout
    for words in (("list",), ("show", "ble-mesh")):
        report = json.loads(stocked("dunes", "firmware", *words, "--json").stdout)
        schema = stocked("dunes", "firmware", words[0], "--schema").stdout
        jsonschema.validate(report, json.loads(schema))


def test_firmware_comes_from_a_catalogue_behind_https(typed, stock, board, tmp_path):
    certificate = find_certificate(tmp_path, "127.0.0.1")
    folder = stock / "data/firmware"
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_args: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(folder)))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.cert_path, certificate.key_path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        argv = [
            "dunes",
            "flash-node",
            "--firmware",
            "ble-mesh",
            "--device",
            udp(board()),
            "--json",
        ]
        argv += ["--catalogue", f"https://127.0.0.1:{server.server_port}"]
        unknown = typed(*argv, "--force", "stranger")
        pinned = {"DUNES_FIRMWARE_TLS_SHA256": certificate.sha256}
        refused = typed(*argv, **pinned)
        done = typed(*argv, "--force", "stranger", **pinned)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (69, 77, 0) == (unknown.returncode, refused.returncode, done.returncode)
    assert "catalogue-unreachable" in unknown.stderr
    assert "firmware-stranger" in refused.stderr
    assert "updated" == only(json.loads(done.stdout))["result"]


def test_a_command_that_is_interrupted_says_so_and_no_more(stocked, board, environment, home):
    where = board("--die-after", "4", "--deaf-s", "30")
    argv = ["dunes", "flash-node", "--firmware", "ble-mesh-v1.2", "--device", udp(where)]
    process = when_deaf(argv, environment, home, where)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=10)
    assert 130 == process.returncode, stderr
    assert "Traceback" not in stderr


def test_tab_offers_the_firmware_of_the_catalogue(stocked):
    named = stocked("dunes", "complete-names", "firmware")
    assert "ble-mesh-v1.0\nble-mesh-v1.1\nble-mesh-v1.2\n" == named.stdout


def test_the_same_image_can_be_added_again_and_another_one_not(stocked, built, tmp_path):
    again = stocked("dunes", "firmware", "add", str(built["1.2.0"]), "--json")
    assert 0 == again.returncode
    jsonschema.validate(
        json.loads(again.stdout),
        json.loads(stocked("dunes", "firmware", "add", "--schema").stdout),
    )
    other = tmp_path / "other.bin"
    other.write_bytes(sign_image(tmp_path, board=BUILT_FOR))
    refused = stocked("dunes", "firmware", "add", str(other))
    assert 65 == refused.returncode
    assert "is another image" in refused.stderr


def test_an_image_is_checked_before_it_is_added(typed, tmp_path, built):
    junk, silent, home = tmp_path / "junk", tmp_path / "silent.bin", tmp_path
    junk.write_bytes(b"\x7fELF" + bytes(100))
    silent.write_bytes(sign_image(home))
    for argv, exit_, said in [
        ((str(junk),), 65, "no MCUboot image"),
        ((str(silent),), 2, "does not say for which board"),
        ((str(built["1.2.0"]), "--board", "other"), 2, "not for other"),
        ((str(built["1.2.0"]), "--version", "1.3"), 2, "not 1.3"),
        ((str(built["1.2.0"]), "--name", "Bad Name"), 2, "no name of a firmware"),
        ((str(built["1.2.0"]), "--address", "here"), 2, "no address"),
        ((str(tmp_path / "none"),), 66, "no file"),
        ((str(built["1.2.0"]),), 66, "no identity"),
    ]:
        done = typed("dunes", "firmware", "add", *argv)
        assert exit_ == done.returncode, done.stderr
        assert said in done.stderr
    done = typed("dunes", "firmware", "add", str(built["1.2.0"]), "--dry-run")
    assert (0, True) == (done.returncode, "would add ble-mesh-v1.2" in done.stdout)
    assert not (Path(str(tmp_path)) / "home/dunes/data/firmware").exists()
