"""The simulated site as a process: started twice, killed, stopped, unable to start."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dunes.errors import NotFound, PeerError, StorageError, Unavailable, UsageError
from dunes.paths import find_paths
from dunes.sim.control import CutRequest, LinkRequest, SiteControl
from dunes.sim.lifecycle import down, log_path, up
from dunes.sim.speedtest import request_transfer
from dunes.site import resolve, running_site, site_directory
from dunes.starlink.client import DeviceClient, targets
from dunes.starlink.descriptors import enum_name


@pytest.fixture
def paths(tmp_path):
    found = find_paths({"DUNES_HOME": str(tmp_path)})
    yield found
    down(found)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A site that several tests look at; each leaves its sky open."""
    found = find_paths({"DUNES_HOME": str(tmp_path_factory.mktemp("site"))})
    yield up(found, "lunar", 60.0).site
    down(found)


def dish_outage(site):
    """Give the cause of the outage that the dish tells about; empty without one."""
    with DeviceClient(targets("dish", "192.168.100.1", "grpc-web", site)) as dish:
        status = dish.ask("get_status").dish_get_status
        if not status.HasField("outage"):
            return ""
        return enum_name(status.outage, "cause")


def test_a_site_that_is_up_is_not_started_again(paths):
    first = up(paths, "lunar")
    second = up(paths, "lunar", 30.0)

    assert not first.already
    assert second.already
    assert first.site.pid == second.site.pid
    assert 30.0 == running_site(paths).speed


def test_two_starts_at_once_make_one_site(paths):
    found = []
    starters = [threading.Thread(target=lambda: found.append(up(paths, "lunar"))) for _ in "ab"]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()

    assert [False, True] == sorted(started.already for started in found)
    assert 1 == len({started.site.pid for started in found})


def test_another_site_is_not_started_beside_it(paths):
    up(paths, "lunar")

    with pytest.raises(UsageError, match="the site lunar is up") as caught:
        up(paths, "mars")
    assert "dunes sim down" in caught.value.hint


def test_a_killed_site_is_seen_as_gone_and_comes_up_again(paths):
    first = up(paths, "lunar", 60.0).site
    time.sleep(0.3)
    before = SiteControl.of(first).request_made()
    os.kill(first.pid, signal.SIGKILL)
    while running_site(paths):
        time.sleep(0.01)

    assert running_site(paths) is None
    again = up(paths, "lunar", 60.0)
    assert not again.already
    time.sleep(0.3)
    after = SiteControl.of(again.site).request_made()
    assert after.site_us > before.site_us
    for device, seq in before.tables["lunar_telemetry"].items():
        assert after.tables["lunar_telemetry"][device] > seq
    # each device's numbers run on without a gap or a repetition, over the kill
    seen = {}
    with Path(again.site.telemetry["lunar_telemetry"]).open() as file:
        for line in file:
            row = json.loads(line)
            assert row["seq"] == seen.get(row["device"], 0) + 1
            seen[row["device"]] = row["seq"]


def test_a_site_ends_when_asked_and_only_once(paths):
    up(paths, "lunar")

    assert down(paths)
    assert not down(paths)
    assert running_site(paths) is None
    assert not (site_directory(paths) / "site.json").exists()


def test_a_site_that_hangs_is_ended_all_the_same(paths):
    os.kill(up(paths, "lunar").site.pid, signal.SIGSTOP)

    assert down(paths, stop_s=0.2)
    assert running_site(paths) is None


def test_a_site_that_cannot_start_shows_the_end_of_its_log(paths):
    folder = site_directory(paths) / "lunar"
    folder.mkdir(parents=True)
    (folder / "made.json").write_text("{broken")

    with pytest.raises(Unavailable, match=r"made.json: Expecting property name") as caught:
        up(paths, "lunar")
    assert str(log_path(paths)) in caught.value.hint
    assert running_site(paths) is None


def test_an_unknown_site_is_refused_before_anything_starts(paths):
    with pytest.raises(NotFound, match="no simulated site"):
        up(paths, "venus")
    assert not site_directory(paths).exists()


def test_a_broken_description_is_an_error_with_a_way_out(paths):
    up(paths, "lunar")
    description = site_directory(paths) / "site.json"
    description.write_text("{")

    with pytest.raises(StorageError) as caught:
        running_site(paths)
    assert "dunes sim down" == caught.value.hint
    assert down(paths)


def test_a_cut_reaches_the_dish_and_the_proxy_and_ends_by_itself(shared):
    control = SiteControl.of(shared)
    target = resolve("speedtest.earth-gs", 5201, shared)
    control.request_link(LinkRequest(one_way_delay_s=0.01, jitter_s=0.0))

    begin_s = time.monotonic()
    cut = control.request_cut(CutRequest(duration_s=240.0, cause="OBSTRUCTED")).cut

    assert ("OBSTRUCTED", "silent", "starlink") == (cut.cause, cut.mode, cut.interface)
    assert 230 < cut.left_s <= 240
    assert "OBSTRUCTED" == dish_outage(shared)
    with pytest.raises(Unavailable, match="timed out"):
        request_transfer(target.host, target.port, 1000, timeout_s=0.4)
    while control.request_state().cut is not None:
        time.sleep(0.02)
    assert 3.8 < time.monotonic() - begin_s < 5
    assert "" == dish_outage(shared)
    assert 1000 == request_transfer(target.host, target.port, 1000, timeout_s=5).size_bytes


def test_a_cut_is_taken_back(shared):
    control = SiteControl.of(shared)
    control.request_cut(CutRequest(duration_s=86_400.0))
    assert "NO_SATS" == dish_outage(shared)

    assert control.request_restore().cut is None
    assert "" == dish_outage(shared)


def test_a_reset_cut_tears_connections_down(shared):
    control = SiteControl.of(shared)
    target = resolve("speedtest.earth-gs", 5201, shared)
    with socket.create_connection((target.host, target.port), timeout=3) as link:
        link.sendall(b"x")
        control.request_cut(CutRequest(duration_s=600.0, mode="reset"))
        with pytest.raises(ConnectionResetError):
            link.recv(1)
    control.request_restore()


def test_the_site_measures_its_own_rate_and_delay(shared):
    control = SiteControl.of(shared)
    target = resolve("speedtest.earth-gs", 5201, shared)
    control.request_link(LinkRequest(one_way_delay_s=0.02, jitter_s=0, rate_bps=10e6))

    transfer = request_transfer(target.host, target.port, 1_250_000, timeout_s=10)

    # a handshake's round trip, one second on the line, and a round trip for the answer
    assert 1.08 == pytest.approx(transfer.seconds, rel=0.05)
    control.request_link(LinkRequest(one_way_delay_s=1.32, rate_bps=20e6))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (CutRequest(duration_s=0.0), "not within 30 days"),
        (CutRequest(duration_s=60.0, interface="wifi"), "there is starlink"),
        (CutRequest(duration_s=60.0, mode="loud"), "silent or reset"),
        (CutRequest(duration_s=60.0, cause="RAIN"), "NO_SATS"),
    ],
)
def test_a_cut_that_cannot_be_is_refused_with_a_reason(shared, request_, said):
    with pytest.raises(UsageError, match=said):
        SiteControl.of(shared).request_cut(request_)
    assert SiteControl.of(shared).request_state().cut is None


def test_nobody_controls_the_site_without_its_token(shared):
    with pytest.raises(PeerError, match="401"):
        SiteControl(shared.control_url, "guessed").request_stop()
    assert shared.control_token not in repr(shared)


def test_a_storm_is_made_to_order(shared):
    control = SiteControl.of(shared)
    before = control.request_state().tables["lunar_telemetry"].alerts

    control.request_event("solar-particle")

    deadline_s = time.monotonic() + 8
    while control.request_state().tables["lunar_telemetry"].alerts < before + 2:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    with pytest.raises(UsageError, match="dust-storm"):
        control.request_event("dust-storm")


def test_the_site_in_the_foreground_ends_with_ctrl_c(tmp_path):
    env = os.environ | {"DUNES_HOME": str(tmp_path)}
    found = find_paths({"DUNES_HOME": str(tmp_path)})
    with subprocess.Popen(
        [sys.executable, "-m", "dunes", "sim", "up", "--foreground"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        for _ in range(400):
            if running_site(found):
                break
            time.sleep(0.05)
        assert "lunar" == json.loads((tmp_path / "profile.json").read_text())["site"]["simulated"]
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert 0 == process.returncode
    assert "the simulated site has ended\n" == output
    assert "site" not in json.loads((tmp_path / "profile.json").read_text())
