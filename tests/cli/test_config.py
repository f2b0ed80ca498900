import json


def test_all_settings_are_shown_with_their_origin(typed):
    done = typed("dunes", "config", "--show-origin", DUNES_MESH_ID="lunar-ble-001")
    assert 0 == done.returncode
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert ["mesh.id", "lunar-ble-001", "DUNES_MESH_ID"] == rows["mesh.id"]
    assert "default" == rows["buffer.cap"][-1]


def test_json_has_values_in_si_units(typed):
    report = json.loads(typed("dunes", "config", "--json").stdout)
    values = {row["key"]: row["value"] for row in report["settings"]}
    assert ("dunes.config/1", 1e10, 5) == (
        report["schema"],
        values["buffer.cap"],
        values["starlink.poll"],
    )


def test_a_setting_is_written_read_and_removed_again(typed):
    assert 0 == typed("dunes", "config", "set", "mesh.id", "m1").returncode
    assert "m1\n" == typed("dunes", "config", "get", "mesh.id").stdout
    assert "-" in typed("dunes", "config", "unset", "mesh.id").stdout
    assert "default" in typed("dunes", "config", "--show-origin").stdout


def test_a_dry_run_writes_nothing(typed, home):
    done = typed("dunes", "config", "set", "buffer.cap", "5GB", "--dry-run", "--json")
    report = json.loads(done.stdout)
    assert (5e9, False) == (report["value"], report["changed"])
    assert not (home / "dunes").exists()


def test_a_wrong_key_or_value_is_a_configuration_error_with_the_cure(typed):
    done = typed("dunes", "config", "set", "mesh.idd", "x")
    assert (78, "dunes: no setting 'mesh.idd'\nhint: did you mean mesh.id?\n") == (
        done.returncode,
        done.stderr,
    )
    done = typed("dunes", "config", "set", "buffer.cap", "5", "--json")
    error = json.loads(done.stderr)["error"]
    assert (78, "config", 78) == (done.returncode, error["code"], error["exit"])
    assert "units" in error["hint"] or "write it" in error["hint"]


def test_a_table_is_not_set_as_one_value(typed):
    done = typed("dunes", "config", "set", "uplink.destinations", "x")
    assert 2 == done.returncode
    assert "mcp init" in done.stderr


def test_what_outranks_the_profile_is_warned_of(typed):
    done = typed("dunes", "config", "set", "mesh.id", "x", DUNES_MESH_ID="y")
    assert "warning: DUNES_MESH_ID outranks the profile\n" == done.stderr
    assert "mesh.id = y  (DUNES_MESH_ID)\n" == done.stdout
