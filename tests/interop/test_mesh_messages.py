"""Our mesh messages, read by somebody else's library.

bluetooth-mesh-messages (Silvair, GPL-2.0) runs in an interpreter of its own and is never
a dependency: `DUNES_MESH_PEER_PYTHON`, or `.venv-mesh-peer` beside this project, made by
`uv venv .venv-mesh-peer && uv pip install -p .venv-mesh-peer bluetooth-mesh-messages`.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from dunes.mesh.models import config_keys, config_models, config_node, generic, health, sensor
from dunes.mesh.models.sensor import Marshalled, marshal
from dunes.mesh.wire import ModelId

ROOT = Path(__file__).resolve().parents[2]
PEER = Path(__file__).with_name("peers") / "mesh_messages.py"
KEY = bytes(range(16))
ONOFF, VENDOR = ModelId(0x1000), ModelId(0x0001, 0x0136)

CASES = [
    (config_node.CompositionGet(0), "config_composition_data_get", {"page": 0}),
    (config_node.TtlSet(5), "config_default_ttl_set", {"ttl": 5}),
    (config_node.FriendStatus(2), "config_friend_status", {"friend": 2}),
    (config_node.ProxySet(1), "config_gatt_proxy_set", {"GATT_proxy": 1}),
    (
        config_node.RelaySet(1, 0x4A),
        "config_relay_set",
        {"relay": 1, "retransmit": {"count": 2, "interval": 100}},
    ),
    (
        config_keys.AppKeyAdd((1, 2), KEY),
        "config_appkey_add",
        {"net_key_index": 1, "app_key_index": 2, "app_key": KEY.hex()},
    ),
    (
        config_keys.AppKeyList(0, 1, (5, 6, 7)),
        "config_appkey_list",
        {"net_key_index": 1, "app_key_indices": [5, 6, 7]},
    ),
    (config_keys.NetKeyUpdate(3, KEY), "config_netkey_update", {"net_key": KEY.hex()}),
    (
        config_keys.KeyRefreshSet(1, 2),
        "config_key_refresh_phase_set",
        {"net_key_index": 1, "transition": 2},
    ),
    (
        config_models.ModelAppBind(5, 1, VENDOR),
        "config_model_app_bind",
        {"element_address": 5, "model": {"vendor_id": 0x0136, "model_id": 1}},
    ),
    (
        config_models.PublicationSet(5, 0xC001, 1, 7, 0x42, 0x0A, ONOFF),
        "config_model_publication_set",
        {"publish_address": 0xC001, "app_key_index": 1, "ttl": 7, "credential_flag": 0},
    ),
    (
        config_models.SubscriptionVirtualAdd(5, KEY, ONOFF),
        "config_model_subscription_virtual_address_add",
        {"label": KEY.hex(), "element_address": 5},
    ),
    (
        config_models.SigSubscriptionList(0, 5, 0x1000, (0xC001, 0xC002)),
        "config_sig_model_subscription_list",
        {"addresses": [0xC001, 0xC002]},
    ),
    (config_node.NodeReset(), "config_node_reset", {}),
    (
        health.CurrentStatus(1, 0x0136, b"\1\7"),
        "health_current_status",
        {"test_id": 1, "company_id": 0x0136, "fault_array": [1, 7]},
    ),
    (health.AttentionSet(9), "health_attention_set", {"attention": 9}),
    (health.PeriodStatus(3), "health_period_status", {"fast_period_divisor": 3}),
    (
        generic.OnOffSet(1, 7, 0x41, 4),
        "generic_onoff_set",
        {"onoff": 1, "tid": 7, "transition_time": 1, "delay": 0.02},
    ),
    (
        generic.LevelStatus(-5, 6, 0x41),
        "generic_level_status",
        {"present_level": -5, "target_level": 6, "remaining_time": 1},
    ),
    (generic.LevelDeltaSet(-70000, 7), "generic_delta_set", {"delta_level": -70000}),
    (generic.LevelMoveSet(-3, 7), "generic_move_set", {"delta_level": -3}),
    (sensor.SensorGet(0x004F), "sensor_get", {"property_id": 0x004F}),
    (sensor.DescriptorGet(), "sensor_descriptor_get", {}),
]


def peer_python():
    for python in (
        os.environ.get("DUNES_MESH_PEER_PYTHON"),
        ROOT / ".venv-mesh-peer/bin/python",
    ):
        if python is not None and Path(python).exists():
            return python
    pytest.skip("needs bluetooth-mesh-messages: DUNES_MESH_PEER_PYTHON or .venv-mesh-peer")
    return None


def read(messages):
    done = subprocess.run(
        [peer_python(), PEER],
        input=json.dumps([message.encode().hex() for message in messages]),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_foreign_library_reads_our_messages_as_we_meant_them():
    found = read([message for message, _, _ in CASES])
    for (message, name, fields), told in zip(CASES, found, strict=True):
        assert message.opcode == told["opcode"], name
        assert fields == {each: told[name][each] for each in fields}, name


def test_a_foreign_library_reads_our_sensor_values():
    values = marshal([Marshalled(0x004F, b"\x2b"), Marshalled(0x0076, b"\x88\x13")])
    (told,) = read([sensor.SensorStatus(values)])
    first, second = told["sensor_status"]
    assert (0, 1, 0x004F) == (
        first["format"],
        first["length"],
        first["sensor_setting_property_id"],
    )
    assert (2, 0x0076, [0x88, 0x13]) == (
        second["length"],
        second["sensor_setting_property_id"],
        second["sensor_setting_raw"],
    )
