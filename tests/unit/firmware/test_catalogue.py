"""Catalogues in a folder and behind TLS on loopback; whose signature counts."""

import json
import ssl
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from firmware_boards import image

from dunes.clock import SYSTEM_CLOCK
from dunes.crypto.errors import BadSignature
from dunes.crypto.identity import create_identity
from dunes.crypto.truststore import Role, TrustStore
from dunes.errors import DataError, NotFound, PeerError, Unavailable, UsageError
from dunes.firmware import catalogue, fetch
from dunes.firmware.catalogue import Folder, add, load
from dunes.firmware.errors import BadManifest, Reason
from dunes.firmware.fetch import Web
from dunes.firmware.image import parse_image
from dunes.firmware.manifest import Wanted, manifest_of
from dunes.firmware.shelf import MAKER_FILE, open_shelf
from dunes.firmware.version import Version
from dunes.paths import find_paths
from dunes.site import Site
from dunes.uplink.tls import find_certificate

NOW_US = SYSTEM_CLOCK.unix_us()


def place(folder, name):
    return find_paths({"DUNES_HOME": str(folder / name)})


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A gateway and a maker of firmware, with keys; the gateway trusts nobody yet."""
    folder = tmp_path_factory.mktemp("people")
    return {
        name: (place(folder, name), create_identity(place(folder, name), name, role))
        for name, role in [("gateway", "gateway"), ("maker", "operator")]
    }


@pytest.fixture
def maker(people):
    return people["maker"][1]


@pytest.fixture
def gateway(people, tmp_path):
    """A home of its own with the gateway's keys in it."""
    import shutil

    paths = place(tmp_path, "gateway")
    shutil.copytree(people["gateway"][0].keys, paths.keys)
    return paths


def put(folder, maker, version="1.2.0", board="nrf52840dk/nrf52840"):
    data = image(version, board)
    manifest = manifest_of(parse_image(data), "ble-mesh", board, "2026-01-01T00:00:00Z")
    return add(Folder(folder), manifest, data, maker.signing)


def test_what_is_added_is_found_again_with_its_image(tmp_path, maker):
    put(tmp_path, maker)
    folder = Folder(tmp_path)
    assert ["ble-mesh-v1.2/nrf52840dk_nrf52840"] == folder.places()
    found = load(folder, folder.places()[0], {maker.kid: maker.signing.public})
    assert (maker.kid, Version(1, 2)) == (found.signer, found.manifest.version)
    assert image("1.2.0", "nrf52840dk/nrf52840") == found.image()
    index = json.loads((tmp_path / "index.json").read_bytes())
    assert {"schema": "dunes.firmware-index/1", "places": folder.places()} == index
    assert [] == list(tmp_path.rglob(".*"))


def test_the_signature_is_one_that_dunes_verify_takes(tmp_path, maker):
    from dunes.crypto import detached

    found = put(tmp_path, maker)
    folder = tmp_path / found.place
    signature = detached.read_signature((folder / "manifest.json.sig").read_bytes())
    with (folder / "manifest.json").open("rb") as file:
        key = detached.verify_stream(file, signature, {maker.kid: maker.signing.public})
    assert maker.kid == key.kid


def test_a_signature_by_an_unknown_key_is_told_as_such(tmp_path, maker):
    put(tmp_path, maker)
    found = load(Folder(tmp_path), "ble-mesh-v1.2/nrf52840dk_nrf52840", {})
    assert ("", maker.kid) == (found.signer, found.claimed)


def test_unsigned_changed_and_misplaced_manifests_are_told_apart(tmp_path, maker):
    found = put(tmp_path, maker)
    keys, home = {maker.kid: maker.signing.public}, tmp_path / found.place
    manifest = (home / "manifest.json").read_bytes()
    (home / "manifest.json").write_bytes(manifest.replace(b'"about": ""', b'"about": "x"'))
    with pytest.raises(BadSignature):
        load(Folder(tmp_path), found.place, keys)
    (home / "manifest.json").write_bytes(manifest)
    other = tmp_path / "ble-mesh-v1.3" / "nrf52840dk_nrf52840"
    other.parent.mkdir()
    home.rename(other)
    with pytest.raises(BadManifest):
        load(Folder(tmp_path), "ble-mesh-v1.3/nrf52840dk_nrf52840", keys)
    other.rename(home)
    (home / "manifest.json.sig").write_bytes(b"{}")
    with pytest.raises(BadManifest):
        load(Folder(tmp_path), found.place, keys)
    (home / "manifest.json.sig").unlink()
    assert ("", "") == (load(Folder(tmp_path), found.place, keys).claimed, "")


def test_another_image_under_the_same_name_is_refused_and_the_same_one_is_not(tmp_path, maker):
    put(tmp_path, maker)
    put(tmp_path, maker)
    other = image("1.2.0", "nrf52840dk/nrf52840", body=bytes(100))
    manifest = manifest_of(parse_image(other), "ble-mesh", "nrf52840dk/nrf52840", "")
    with pytest.raises(DataError) as refused:
        add(Folder(tmp_path), manifest, other, maker.signing)
    assert "firmware-exists" == refused.value.code


def test_a_disk_that_refuses_leaves_no_half_firmware(tmp_path, maker, monkeypatch):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(catalogue, "write_atomic", full)
    with pytest.raises(catalogue.StorageError):
        put(tmp_path, maker)
    assert [] == Folder(tmp_path).places()


# ---------------------------------------------------------------- whose signature counts


def reasons(shelf):
    return [[o.reason for o in shelf.objections(f)] for f in shelf.firmware]


def test_a_strangers_firmware_is_refused_until_its_key_is_trusted_as_an_operators(
    gateway, maker, tmp_path
):
    put(gateway.data / "firmware", maker)
    assert [[Reason.STRANGER]] == reasons(open_shelf(gateway, NOW_US))
    store = TrustStore.at(gateway)
    store.add(maker.document, [Role.DEVICE], NOW_US)
    assert [[Reason.STRANGER]] == reasons(open_shelf(gateway, NOW_US))
    store.add(maker.document, [Role.OPERATOR], NOW_US)
    assert [[]] == reasons(open_shelf(gateway, NOW_US))
    store.revoke(maker.kid, "lost")
    assert [[Reason.STRANGER]] == reasons(open_shelf(gateway, NOW_US))


def test_a_places_own_firmware_counts(gateway, people):
    put(gateway.data / "firmware", people["gateway"][1])
    assert [[]] == reasons(open_shelf(gateway, NOW_US))


def test_the_sites_key_counts_for_simulated_firmware_alone(gateway, maker, tmp_path):
    site_folder = tmp_path / "site"
    put(site_folder, maker, board="simulated")
    put(site_folder, maker)
    (site_folder / MAKER_FILE).write_bytes(maker.document)
    site = Site("mars", firmware=str(site_folder))
    shelf = open_shelf(gateway, NOW_US, site=site)
    assert {"simulated": [], "nrf52840dk/nrf52840": [Reason.STRANGER]} == {
        f.manifest.board: [o.reason for o in shelf.objections(f)] for f in shelf.firmware
    }
    assert [] == open_shelf(gateway, NOW_US).firmware


def test_the_latest_version_and_each_board_are_found(gateway, maker):
    folder = gateway.data / "firmware"
    for version in ("1.2.0", "1.10.0"):
        for board in ("nrf52840dk/nrf52840", "nrf5340dk/nrf5340/cpuapp"):
            put(folder, maker, version, board)
    shelf = open_shelf(gateway, NOW_US)
    found = shelf.named(Wanted.parse("ble-mesh"))
    assert {Version(1, 10)} == {f.manifest.version for f in found}
    assert 2 == len(found)
    assert 1 == len(shelf.named(Wanted.parse("ble-mesh-v1.2"), board="nrf52840dk"))
    for text, kind in [("ble-mesh-v1.3", None), ("other", None), ("ble-mesh", "uf2")]:
        with pytest.raises(NotFound):
            shelf.named(Wanted.parse(text), kind)


# ---------------------------------------------------------------- HTTPS


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args):
        return


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return find_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture
def web(certificate, tmp_path, maker):
    """A catalogue on a web server of loopback; gives folder and address."""
    folder = tmp_path / "web"
    put(folder, maker)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.cert_path, certificate.key_path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield folder, f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_catalogue_behind_https_is_read_like_a_folder(web, certificate, gateway, maker):
    folder, address = web
    source = Web(address, tls_sha256=certificate.sha256)
    shelf = open_shelf(gateway, NOW_US, more=[source])
    assert [maker.kid] == [f.claimed for f in shelf.firmware]
    assert Folder(folder).places() == source.places()
    assert image("1.2.0", "nrf52840dk/nrf52840") == shelf.image(shelf.firmware[0])


def test_an_authority_of_ones_own_can_vouch_for_the_server(web, certificate):
    assert Web(web[1], ca_file=str(certificate.cert_path)).places()


def test_a_server_that_nobody_vouches_for_is_not_asked(web):
    with pytest.raises(Unavailable) as refused:
        Web(web[1]).places()
    assert "certificate" in refused.value.message.lower()
    with pytest.raises(Unavailable):
        Web(web[1], tls_sha256="00" * 32).places()


def test_what_is_longer_than_it_may_be_is_not_read_to_its_end(web, certificate, monkeypatch):
    source = Web(web[1], tls_sha256=certificate.sha256)
    with pytest.raises(DataError) as refused:
        source.read("ble-mesh-v1.2/nrf52840dk_nrf52840/image.bin", 1000)
    assert "longer than 1000 bytes" in refused.value.message
    (web[0] / "index.json").write_bytes(b" " * (fetch.INDEX_MAX_BYTES + 1))
    with pytest.raises(DataError):
        source.places()


@pytest.mark.parametrize(
    "index",
    [
        b"", b"[]", b"{}", b'{"schema": "dunes.firmware-index/1", "places": ["../../etc/passwd"]}',
        b'{"schema": "dunes.firmware-index/1", "places": [3]}',
        b'{"schema": "dunes.firmware-index/1", "places": ["a/b/c"]}',
        b'{"schema": "other", "places": []}', b"[" * 100000,
        b'{"schema": "dunes.firmware-index/1", "places": {}}',
    ],
    ids=lambda index: index[:60].decode(),
)  # fmt: skip
def test_an_index_that_is_none_is_the_servers_fault(web, certificate, index):
    (web[0] / "index.json").write_bytes(index)
    source = Web(web[1], tls_sha256=certificate.sha256)
    if b"{}}" in index:
        assert [] == source.places()
        return
    with pytest.raises(PeerError):
        source.places()


def test_a_server_without_an_index_or_a_file_is_told_apart(web, certificate):
    source = Web(web[1], tls_sha256=certificate.sha256)
    with pytest.raises(NotFound):
        source.read("ble-mesh-v9.9/x/manifest.json", 100)
    (web[0] / "index.json").unlink()
    with pytest.raises(PeerError) as missing:
        source.places()
    assert "no firmware catalogue" in missing.value.message


def test_a_redirection_is_not_followed(web, certificate):
    (web[0] / "moved").mkdir()
    source = Web(web[1], tls_sha256=certificate.sha256)
    with pytest.raises(PeerError) as refused:
        source.read("moved", 100)
    assert "301" in refused.value.message


def test_a_server_that_is_gone_is_unavailable():
    with pytest.raises(Unavailable):
        Web("https://127.0.0.1:9", timeout_s=1).places()


@pytest.mark.parametrize(
    "address",
    ["http://h/x", "https://", "https://user:word@h/", "https://h/?q=1", "ftp://h", "h/x"],
)
def test_only_plain_https_addresses_are_taken(address):
    with pytest.raises(UsageError):
        Web(address)
