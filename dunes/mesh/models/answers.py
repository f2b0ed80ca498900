"""Which message answers which request, and whether it answers this one."""

from collections.abc import Mapping

from dunes.mesh.access import AccessMessage
from dunes.mesh.models import config_keys as keys
from dunes.mesh.models import config_models as models
from dunes.mesh.models import config_node as node
from dunes.mesh.models import generic, health, sensor
from dunes.mesh.models.config import MESSAGES as CONFIG_MESSAGES
from dunes.mesh.models.habitat import habitat
from dunes.mesh.models.habitat_server import HabitatMessage
from dunes.mesh.wire import Message

ANSWERS: Mapping[type[Message], type[Message]] = {
    node.BeaconGet: node.BeaconStatus,
    node.BeaconSet: node.BeaconStatus,
    node.CompositionGet: node.CompositionStatus,
    node.TtlGet: node.TtlStatus,
    node.TtlSet: node.TtlStatus,
    node.FriendGet: node.FriendStatus,
    node.FriendSet: node.FriendStatus,
    node.ProxyGet: node.ProxyStatus,
    node.ProxySet: node.ProxyStatus,
    node.RelayGet: node.RelayStatus,
    node.RelaySet: node.RelayStatus,
    node.NetworkTransmitGet: node.NetworkTransmitStatus,
    node.NetworkTransmitSet: node.NetworkTransmitStatus,
    node.NodeIdentityGet: node.NodeIdentityStatus,
    node.NodeIdentitySet: node.NodeIdentityStatus,
    node.NodeReset: node.NodeResetStatus,
    node.HeartbeatPublicationGet: node.HeartbeatPublicationStatus,
    node.HeartbeatPublicationSet: node.HeartbeatPublicationStatus,
    node.HeartbeatSubscriptionGet: node.HeartbeatSubscriptionStatus,
    node.HeartbeatSubscriptionSet: node.HeartbeatSubscriptionStatus,
    node.PollTimeoutGet: node.PollTimeoutStatus,
    keys.AppKeyAdd: keys.AppKeyStatus,
    keys.AppKeyUpdate: keys.AppKeyStatus,
    keys.AppKeyDelete: keys.AppKeyStatus,
    keys.AppKeyGet: keys.AppKeyList,
    keys.NetKeyAdd: keys.NetKeyStatus,
    keys.NetKeyUpdate: keys.NetKeyStatus,
    keys.NetKeyDelete: keys.NetKeyStatus,
    keys.NetKeyGet: keys.NetKeyList,
    keys.KeyRefreshGet: keys.KeyRefreshStatus,
    keys.KeyRefreshSet: keys.KeyRefreshStatus,
    models.ModelAppBind: models.ModelAppStatus,
    models.ModelAppUnbind: models.ModelAppStatus,
    models.SigModelAppGet: models.SigModelAppList,
    models.VendorModelAppGet: models.VendorModelAppList,
    models.PublicationGet: models.PublicationStatus,
    models.PublicationSet: models.PublicationStatus,
    models.PublicationVirtualSet: models.PublicationStatus,
    models.SubscriptionAdd: models.SubscriptionStatus,
    models.SubscriptionDelete: models.SubscriptionStatus,
    models.SubscriptionOverwrite: models.SubscriptionStatus,
    models.SubscriptionDeleteAll: models.SubscriptionStatus,
    models.SubscriptionVirtualAdd: models.SubscriptionStatus,
    models.SubscriptionVirtualDelete: models.SubscriptionStatus,
    models.SubscriptionVirtualOverwrite: models.SubscriptionStatus,
    models.SigSubscriptionGet: models.SigSubscriptionList,
    models.VendorSubscriptionGet: models.VendorSubscriptionList,
    health.FaultGet: health.FaultStatus,
    health.FaultClear: health.FaultStatus,
    health.FaultTest: health.FaultStatus,
    health.PeriodGet: health.PeriodStatus,
    health.PeriodSet: health.PeriodStatus,
    health.AttentionGet: health.AttentionStatus,
    health.AttentionSet: health.AttentionStatus,
    generic.OnOffGet: generic.OnOffStatus,
    generic.OnOffSet: generic.OnOffStatus,
    generic.LevelGet: generic.LevelStatus,
    generic.LevelSet: generic.LevelStatus,
    generic.LevelDeltaSet: generic.LevelStatus,
    generic.LevelMoveSet: generic.LevelStatus,
    sensor.DescriptorGet: sensor.DescriptorStatus,
    sensor.SensorGet: sensor.SensorStatus,
    sensor.CadenceGet: sensor.CadenceStatus,
    sensor.CadenceSet: sensor.CadenceStatus,
    sensor.SettingsGet: sensor.SettingsStatus,
    sensor.SettingGet: sensor.SettingStatus,
    sensor.SettingSet: sensor.SettingStatus,
}
"""Acknowledged requests. What is not here is sent once, without an answer."""

ECHOED = ("element", "model", "app_index", "net_index", "indexes", "property_id", "setting_id")
"""Fields that an answer repeats; both have to have them to be compared."""

WITH_APP_KEY: Mapping[int, type[Message]] = {
    **health.MESSAGES,
    **generic.ONOFF_MESSAGES,
    **generic.LEVEL_MESSAGES,
    **sensor.SERVER_MESSAGES,
    **sensor.SETUP_MESSAGES,
    **sensor.CLIENT_MESSAGES,
}


def read_message(message: AccessMessage) -> Message | None:
    """Read an access message by its key and opcode; None where nobody here knows it.

    Raises:
        BadPdu: it cannot be read.
    """
    if message.app_index is None:
        known = CONFIG_MESSAGES.get(message.opcode)
    else:
        known = WITH_APP_KEY.get(message.opcode)
    if known is not None:
        return known.decode(message.parameters)
    found = habitat().read(message.opcode, message.parameters)
    return None if found is None else HabitatMessage(*found)


def answers(request: Message, answer: Message) -> bool:
    """Say whether a message answers a request: right kind, same fields repeated."""
    if ANSWERS.get(type(request)) is not type(answer):
        return False
    for name in ECHOED:
        asked, said = getattr(request, name, None), getattr(answer, name, None)
        if asked is not None and type(asked) is type(said) and asked != said:
            return False
    return True
