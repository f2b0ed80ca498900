"""Status codes of configuration messages (Mesh Protocol 1.1, 4.3.5)."""

from enum import IntEnum


class Status(IntEnum):
    """What a configuration server answers, a sentence each."""

    SUCCESS = 0x00
    """Done."""
    INVALID_ADDRESS = 0x01
    """The address is not one of this node's, or of the wrong kind."""
    INVALID_MODEL = 0x02
    """The element has no such model."""
    INVALID_APP_KEY_INDEX = 0x03
    """No such AppKey on the node."""
    INVALID_NET_KEY_INDEX = 0x04
    """No such NetKey on the node."""
    INSUFFICIENT_RESOURCES = 0x05
    """The node has no room for it."""
    KEY_INDEX_ALREADY_STORED = 0x06
    """Another key has this index."""
    INVALID_PUBLISH_PARAMETERS = 0x07
    """The model cannot publish that way."""
    NOT_A_SUBSCRIBE_MODEL = 0x08
    """The model takes no subscriptions."""
    STORAGE_FAILURE = 0x09
    """The node could not store it."""
    FEATURE_NOT_SUPPORTED = 0x0A
    """The node cannot do that at all."""
    CANNOT_UPDATE = 0x0B
    """Not in this phase of the key refresh."""
    CANNOT_REMOVE = 0x0C
    """The last, or the used, key stays."""
    CANNOT_BIND = 0x0D
    """The model takes no AppKey."""
    CHANGE_STATE_FAILED = 0x0E
    """Not now."""
    CANNOT_SET = 0x0F
    """The state does not take this value."""
    UNSPECIFIED = 0x10
    """The node does not say."""
    INVALID_BINDING = 0x11
    """The AppKey belongs to another NetKey."""

    @property
    def words(self) -> str:
        """Name it for people: `insufficient resources`."""
        return self.name.lower().replace("_", " ")
