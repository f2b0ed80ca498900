import contextlib
import hashlib

import cbor2
import pytest
from firmware_boards import BODY, KEY, STRANGER, image, server
from firmware_making import sign_image
from hypothesis import given
from hypothesis import strategies as st
from smp import header as smp_header
from smp import packet

from dunes.errors import LocalError
from dunes.firmware.image import parse_image
from dunes.firmware.version import Version
from dunes.sim.mcuboot import SLOT_BYTES
from dunes.sim.signedimage import make_image
from dunes.sim.smp_carriers import ConsoleStream, GattStream, console_lines
from dunes.sim.smp_server import HEADER, ImageRc, Rc

OS, IMAGE = 0, 1
READ, WRITE = 0, 2


def frame(op, group, command, given=None, *, version=1, sequence=7):
    body = cbor2.dumps(given or {})
    return HEADER.pack(version << 3 | op, 0, len(body), group, sequence, command) + body


def ask(node, op, group, command, given=None, *, version=1):
    answer = node.receive(frame(op, group, command, given, version=version))
    head = HEADER.unpack_from(answer)
    assert (version << 3 | op + 1, len(answer) - HEADER.size, group, 7, command) == (
        head[0], head[2], head[3], head[4], head[5],
    )  # fmt: skip
    return cbor2.loads(answer[HEADER.size :])


def upload(node, data, *, piece=200, sha=True, start=0, **first):
    offset, answer = start, {}
    while offset < len(data):
        given = {"off": offset, "data": data[offset : offset + piece]}
        if offset == 0:
            given |= {"len": len(data)} | first
            if sha:
                given["sha"] = hashlib.sha256(data).digest()
        answer = ask(node, WRITE, IMAGE, 1, given)
        if "off" not in answer:
            return answer
        offset = answer["off"]
    return answer


def slots(node):
    return ask(node, READ, IMAGE, 0)["images"]


def error(answer):
    return answer["err"]["group"], answer["err"]["rc"]


# ---------------------------------------------------------------- images that it starts


def test_the_sites_images_are_what_imgtool_verifies(tmp_path):
    import subprocess
    import sys

    from cryptography.hazmat.primitives import serialization

    path, key = tmp_path / "image.bin", tmp_path / "key.pem"
    path.write_bytes(image())
    key.write_bytes(
        KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    told = subprocess.run(
        [sys.executable, "-c", "from imgtool.main import imgtool; imgtool()", "verify",
         "-k", str(key), str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 0 == told.returncode, told.stderr
    assert "Image was correctly validated" in told.stdout
    assert "1.2.0" in told.stdout


def test_the_bootloader_starts_an_image_that_imgtool_signed_with_its_key(tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from firmware_making import make_key

    key = load_pem_private_key(make_key(tmp_path, "ed25519").read_bytes(), None)
    assert key.private_bytes_raw()
    node = server()
    node.board.key = key.public_key()
    signed = sign_image(tmp_path, kind="ed25519", board="simulated", version="3.0.0")
    upload(node, signed)
    ask(node, WRITE, IMAGE, 0, {"hash": parse_image(signed).hash})
    node.reset()
    assert "3.0.0" == slots(node)[0]["version"]
    assert serialization


# ---------------------------------------------------------------- group 0


def test_it_echoes():
    assert {"r": "hello"} == ask(server(), WRITE, OS, 0, {"d": "hello"})


def test_it_tells_its_buffers_and_its_name_and_board():
    node = server()
    assert {"buf_size": 2475, "buf_count": 4} == ask(node, READ, OS, 6)
    assert {"output": "rover-001 simulated"} == ask(node, READ, OS, 7, {"format": "in"})
    assert {"output": "Zephyr"} == ask(node, READ, OS, 7)
    assert (OS, 2) == error(ask(node, READ, OS, 7, {"format": "ix"}))


def test_it_tells_its_bootloader():
    node = server()
    assert {"bootloader": "MCUboot"} == ask(node, READ, OS, 8)
    assert {"mode": 3} == ask(node, READ, OS, 8, {"query": "mode"})
    assert {"release": "2.1.0"} == ask(node, READ, OS, 8, {"query": "release"})
    assert (OS, 3) == error(ask(node, READ, OS, 8, {"query": "weather"}))


def test_a_reset_is_answered_before_it_happens():
    node = server()
    assert {} == ask(node, WRITE, OS, 5)
    assert node.reset_due
    assert 0 == node.board.starts
    node.reset()
    assert (1, False) == (node.board.starts, node.reset_due)


def test_unknown_groups_and_commands_are_not_supported():
    node = server()
    for op, group, command in [(READ, 63, 0), (READ, IMAGE, 1), (WRITE, OS, 6), (READ, 9, 0)]:
        assert {"rc": Rc.NOT_SUPPORTED} == ask(node, op, group, command)


def test_what_is_no_request_is_not_answered():
    node = server()
    assert node.receive(b"") is None
    assert node.receive(frame(1, OS, 0)) is None
    assert node.receive(frame(READ, OS, 0)[:-1]) is None
    assert node.receive(frame(READ, OS, 0) + b"x") is None


def test_a_body_that_is_no_map_is_invalid():
    node = server()
    for body in (b"\xff", cbor2.dumps([1]), cbor2.dumps({"d": 3}), b"\x81" * 1000, b"\xc1\xf4"):
        head = HEADER.pack(1 << 3 | WRITE, 0, len(body), OS, 0, 0)
        answer = node.receive(head + body)
        assert {"rc": Rc.INVALID} == cbor2.loads(answer[HEADER.size :])


def test_a_frame_beyond_the_buffer_is_too_long():
    assert {"rc": Rc.TOO_LONG} == ask(server(), WRITE, OS, 0, {"d": "x" * 2475})


# ---------------------------------------------------------------- group 1


def test_a_fresh_node_runs_its_factory_image_confirmed():
    node = server()
    assert [
        {
            "slot": 0, "version": "1.1.0", "hash": parse_image(image("1.1.0")).hash,
            "bootable": True, "pending": False, "confirmed": True, "active": True,
            "permanent": False,
        }
    ] == slots(node)  # fmt: skip


def test_an_upload_ends_with_the_match_of_its_hash():
    data = image()
    assert {"off": len(data), "match": True} == upload(server(), data)
    assert {"off": len(data), "match": False} == upload(server(), data, sha=False)


def test_a_test_then_a_confirmation_keeps_the_new_image():
    node, data = server(), image()
    upload(node, data)
    wanted = parse_image(data).hash
    states = ask(node, WRITE, IMAGE, 0, {"hash": wanted})["images"]
    assert (True, False) == (states[1]["pending"], states[1]["permanent"])
    node.reset()
    running, old = slots(node)
    assert ("1.2.0", True, False) == (running["version"], running["active"], running["confirmed"])
    assert "1.1.0" == old["version"]
    ask(node, WRITE, IMAGE, 0, {"confirm": True})
    node.reset()
    assert ("1.2.0", True) == (slots(node)[0]["version"], slots(node)[0]["confirmed"])


def test_a_trial_that_nobody_confirms_is_taken_back():
    node, data = server(), image()
    upload(node, data)
    ask(node, WRITE, IMAGE, 0, {"hash": parse_image(data).hash, "confirm": False})
    node.reset()
    node.reset()
    assert ("1.1.0", True) == (slots(node)[0]["version"], slots(node)[0]["confirmed"])
    node.reset()
    assert "1.1.0" == slots(node)[0]["version"]


def test_an_image_that_crashes_is_taken_back_by_the_next_start():
    data = image()
    wanted = parse_image(data).hash
    node = server(crashes=lambda found: found.hash == wanted)
    upload(node, data)
    ask(node, WRITE, IMAGE, 0, {"hash": wanted})
    node.reset()
    assert "1.1.0" == slots(node)[0]["version"]
    assert 2 == node.board.starts
    with pytest.raises(LocalError):
        server(crashes=lambda _found: True).reset()


@pytest.mark.parametrize(
    "bad",
    [
        image(key=STRANGER),
        image(board="nrf52840dk/nrf52840"),
        image()[:-1] + b"\0",
        image()[:3000] + b"\0" + image()[3001:],
    ],
    ids=["stranger", "other board", "signature", "damaged"],
)
def test_the_bootloader_refuses_and_erases_what_is_not_its_makers(bad):
    node = server()
    upload(node, bad)
    node.board.mark(permanent=False)
    node.reset()
    assert ["1.1.0"] == [slot["version"] for slot in slots(node)]


def test_an_upload_goes_on_where_it_stopped_by_its_hash():
    node, data = server(), image()
    sha = hashlib.sha256(data).digest()
    first = {"off": 0, "data": data[:500], "len": len(data), "sha": sha}
    assert {"off": 500} == ask(node, WRITE, IMAGE, 1, first)
    assert {"off": 500} == ask(node, WRITE, IMAGE, 1, first)
    assert {"off": 500} == ask(node, WRITE, IMAGE, 1, {"off": 900, "data": b"x"})
    assert {"off": len(data), "match": True} == upload(node, data, start=500)


def test_a_reset_forgets_an_upload():
    node, data = server(), image()
    sha = hashlib.sha256(data).digest()
    ask(node, WRITE, IMAGE, 1, {"off": 0, "data": data[:500], "len": len(data), "sha": sha})
    node.reset()
    assert {"off": 0} == ask(node, WRITE, IMAGE, 1, {"off": 500, "data": b"x"})


def test_an_image_that_lies_there_already_is_not_sent_again():
    node, data = server(), image()
    upload(node, data)
    first = {"off": 0, "data": data[:500], "len": len(data)}
    sha = hashlib.sha256(data).digest()
    assert {"off": len(data), "match": True} == ask(node, WRITE, IMAGE, 1, first | {"sha": sha})


@pytest.mark.parametrize(
    ("change", "rc"),
    [
        ({"off": -1}, ImageRc.INVALID_OFFSET),
        ({"data": b"\x3d\xb8\xf3\x96"}, ImageRc.INVALID_HEADER),
        ({"data": bytes(64)}, ImageRc.INVALID_MAGIC),
        ({"len": 10}, ImageRc.INVALID_LENGTH),
        ({"len": SLOT_BYTES + 1}, ImageRc.TOO_LARGE),
        ({"image": 1}, ImageRc.INVALID_SLOT),
    ],
)
def test_a_first_piece_that_cannot_be_is_refused(change, rc):
    data = image()
    first = {"off": 0, "data": data[:64], "len": len(data)} | change
    assert (IMAGE, rc) == error(ask(server(), WRITE, IMAGE, 1, first))


def test_more_than_was_announced_is_refused():
    node, data = server(), image()
    ask(node, WRITE, IMAGE, 1, {"off": 0, "data": data[:64], "len": 100})
    more = {"off": 64, "data": bytes(64)}
    assert (IMAGE, ImageRc.OVERRUN) == error(ask(node, WRITE, IMAGE, 1, more))


def test_with_upgrade_only_newer_images_are_taken():
    assert (IMAGE, ImageRc.CURRENT_IS_NEWER) == error(
        upload(server(), image("1.1.0"), upgrade=True)
    )
    assert upload(server(), image("1.1.1"), upgrade=True)["match"]


def test_a_slot_in_use_is_neither_written_nor_erased():
    node, data = server(), image()
    upload(node, data)
    ask(node, WRITE, IMAGE, 0, {"hash": parse_image(data).hash})
    assert (IMAGE, ImageRc.NO_FREE_SLOT) == error(upload(node, image("1.3.0")))
    assert (IMAGE, ImageRc.NO_FREE_SLOT) == error(ask(node, WRITE, IMAGE, 5))
    node.reset()  # on trial: the old image is needed to swap back
    assert (IMAGE, ImageRc.NO_FREE_SLOT) == error(ask(node, WRITE, IMAGE, 5))
    ask(node, WRITE, IMAGE, 0, {"confirm": True})
    assert {} == ask(node, WRITE, IMAGE, 5)
    assert 1 == len(slots(node))


def test_what_is_not_there_cannot_be_tested_and_the_active_image_neither():
    node = server()
    assert (IMAGE, ImageRc.NO_IMAGE) == error(ask(node, WRITE, IMAGE, 0, {"hash": bytes(32)}))
    assert (IMAGE, ImageRc.INVALID_HASH) == error(ask(node, WRITE, IMAGE, 0, {"confirm": False}))
    running = slots(node)[0]["hash"]
    answer = ask(node, WRITE, IMAGE, 0, {"hash": running})
    assert (IMAGE, ImageRc.TEST_OF_ACTIVE_DENIED) == error(answer)


def test_version_one_of_the_protocol_gets_its_own_errors():
    node = server()
    given = {"hash": bytes(32)}
    assert {"rc": Rc.NO_ENTRY} == ask(node, WRITE, IMAGE, 0, given, version=0)
    assert {"rc": Rc.NO_ENTRY} == ask(node, READ, OS, 8, {"query": "?"}, version=0)
    assert {"rc": Rc.INVALID} == ask(node, READ, OS, 7, {"format": "?"}, version=0)


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer_or_none(data):
    server().receive(data)


@given(
    op=st.sampled_from([READ, WRITE]),
    group=st.integers(0, 3),
    command=st.integers(0, 9),
    body=st.dictionaries(
        st.sampled_from(["off", "data", "len", "sha", "hash", "confirm", "slot", "d", "format"]),
        st.one_of(st.integers(), st.binary(max_size=70), st.booleans(), st.text(max_size=5)),
    ),
)
def test_any_map_gets_an_answer(op, group, command, body):
    assert server().receive(frame(op, group, command, body)) is not None


# ---------------------------------------------------------------- carriers


@given(st.lists(st.binary(max_size=600), max_size=4), st.integers(1, 250))
def test_frames_over_gatt_come_out_as_they_went_in(bodies, mtu):
    frames = [HEADER.pack(8, 0, len(body), 0, 0, 0) + body for body in bodies]
    stream, whole = GattStream(2475), b"".join(frames)
    parts = [whole[at : at + mtu] for at in range(0, len(whole), mtu)]
    assert frames == [found for part in parts for found in stream.feed(part)]


def test_a_frame_over_gatt_beyond_the_buffer_is_thrown_away():
    stream = GattStream(100)
    assert [] == list(stream.feed(HEADER.pack(8, 0, 200, 0, 0, 0) + bytes(200)))
    good = HEADER.pack(8, 0, 1, 0, 0, 0) + b"x"
    assert [good] == list(stream.feed(good))
    list(stream.feed(good[:5]))
    stream.forget()
    assert [good] == list(stream.feed(good))


@given(st.binary(min_size=1, max_size=2000))
def test_the_console_speaks_with_the_smp_librarys_framing(data):
    stream = ConsoleStream(2475)
    lines = b"".join(packet.encode(data, line_length=128))
    assert [data] == list(stream.feed(b"uart:~$ \n" + lines))
    decoder = packet.decode()
    next(decoder)
    with contextlib.suppress(StopIteration):
        for line in console_lines(data).splitlines(keepends=True):
            assert len(line) <= 128
            decoder.send(line)
    last = packet.decode()
    next(last)
    out = None
    for line in console_lines(data).splitlines(keepends=True):
        try:
            last.send(line)
        except StopIteration as e:
            out = e.value
    assert data == out


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_console_output_is_passed_over(parts):
    stream = ConsoleStream(500)
    for part in parts:
        list(stream.feed(part))
    assert [b"x"] == list(stream.feed(b"\n" + console_lines(b"x")))


def test_a_damaged_console_frame_is_not_taken():
    lines = bytearray(console_lines(bytes(100)))
    lines[20] ^= 1
    assert [] == list(ConsoleStream(500).feed(bytes(lines)))
    assert [] == list(ConsoleStream(50).feed(console_lines(bytes(100))))


def test_the_header_is_that_of_the_smp_library():
    head = smp_header.Header.loads(frame(WRITE, IMAGE, 1)[:8])
    assert (smp_header.OP.WRITE, smp_header.Version.V2, 1, 7) == (
        head.op, head.version, head.group_id, head.sequence,
    )  # fmt: skip


def test_images_differ_by_version_only_in_their_headers():
    old, new = (parse_image(make_image(BODY, Version(1, n), "simulated", KEY)) for n in (1, 2))
    assert old.data[0x200 : 0x200 + len(BODY)] == new.data[0x200 : 0x200 + len(BODY)]
    assert old.hash != new.hash
