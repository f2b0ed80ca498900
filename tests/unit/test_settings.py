import json

import pytest

from dunes.errors import ConfigError
from dunes.paths import find_paths
from dunes.settings import (
    SETTINGS,
    check_value,
    environment_name,
    load,
    profile_path,
    write_profile,
)


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    return tmp_path


def read(home, **env):
    environ = {"DUNES_HOME": str(home / "home")} | env
    return load(environ, folder=home / "work")


def test_each_layer_outranks_the_one_below(home):
    assert "default" == read(home).origin("mesh.id")
    profile = home / "home/profile.json"
    profile.write_text(json.dumps({"mesh": {"id": "from-profile"}}))
    assert ("from-profile", str(profile)) == tuple(read(home).values["mesh.id"])
    own = home / "home/config.toml"
    own.write_text('[mesh]\nid = "from-config"\n')
    assert ("from-config", str(own)) == tuple(read(home).values["mesh.id"])
    local = home / "work/dunes.toml"
    local.write_text('[mesh]\nid = "from-folder"\n')
    assert ("from-folder", str(local)) == tuple(read(home).values["mesh.id"])
    assert ("from-variable", "DUNES_MESH_ID") == tuple(
        read(home, DUNES_MESH_ID="from-variable").values["mesh.id"]
    )


def test_quantities_become_numbers(home):
    settings = read(home, DUNES_BUFFER_CAP="5GB", DUNES_STARLINK_POLL="500ms")
    assert 5e9 == settings["buffer.cap"]
    assert 0.5 == settings["starlink.poll"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('[mesh]\nidd = "x"\n', "did you mean mesh.id"),
        ("id = 3\n", "outside a section"),
        ("[mesh]\nid = 3\n", "not a text"),
        ('[buffer]\ncap = "10"\n', "no unit"),
        ("[buffer]\nalert_reserve = true\n", "not a whole number"),
        ("[mesh\n", "config.toml"),
    ],
)
def test_a_mistake_in_a_file_names_the_file_and_the_cure(home, text, names):
    path = home / "home/config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(home)
    assert str(path) in caught.value.message
    assert names in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("content", ["[1]", "{", "\x00"])
def test_a_damaged_profile_is_a_configuration_error(home, content):
    (home / "home/profile.json").write_text(content)
    with pytest.raises(ConfigError, match=r"profile\.json"):
        read(home)


def test_the_profile_is_merged_and_what_outranks_it_is_named(home):
    (home / "home/config.toml").write_text('[mesh]\nid = "mine"\n')
    settings = read(home)
    assert ["mesh.id"] == write_profile(settings, {"mesh.id": "new", "buffer.cap": "1GB"})
    assert [] == write_profile(settings, {"gateway.id": "gw"})
    again = read(home)
    assert ("mine", 1e9, "gw") == tuple(
        again[key] for key in ("mesh.id", "buffer.cap", "gateway.id")
    )
    write_profile(again, {"gateway.id": None})
    assert "default" == read(home).origin("gateway.id")


def test_a_wrong_value_leaves_the_profile_alone(home):
    settings = read(home)
    with pytest.raises(ConfigError):
        write_profile(settings, {"mesh.id": "x", "buffer.cap": "much"})
    assert not profile_path(find_paths({"DUNES_HOME": str(home / "home")})).exists()


def test_a_variable_of_another_setting_is_ignored(home):
    assert read(home)["mesh.id"] == read(home, DUNES_SOMETHING="x")["mesh.id"]


def test_every_default_is_valid_and_every_setting_explained():
    for key, setting in SETTINGS.items():
        check_value(key, setting.default)
        assert setting.help.endswith(".")
        assert environment_name(key).startswith("DUNES_")
