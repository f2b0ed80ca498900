"""The messages of the device API, built at run time from a compiled descriptor set.

`device.binpb` is our own `proto/device.proto`, compiled once; the classes are made
from it when they are needed, which works on every protobuf from 5 to 7 (generated
modules break outside their own major). To compile it again, in a throwaway
environment with grpcio-tools::

    cd dunes/starlink/proto
    python -m grpc_tools.protoc -I . --include_imports --descriptor_set_out=../device.binpb \
        device.proto

A set exported from one's own dish (`grpcurl -protoset-out`) takes its place where
`DUNES_PROTOSET` names the file.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from dunes.errors import ConfigError
from dunes.starlink.errors import BadAnswer, Reason

PACKAGE = "SpaceX.API.Device"
SERVICE = f"{PACKAGE}.Device"
HANDLE = f"/{SERVICE}/Handle"
STREAM = f"/{SERVICE}/Stream"

OWN_SET = Path(__file__).with_name("device.binpb")


@dataclass(frozen=True)
class DeviceApi:
    """The message classes of one descriptor set.

    Attributes:
        pool: the descriptors; private, so that another copy in the process cannot clash.
        origin: the file they come from.
    """

    pool: descriptor_pool.DescriptorPool
    origin: str

    def message(self, name: str) -> type[Message]:
        """Give the class of a message, e.g. `Request`.

        Raises:
            ConfigError: this descriptor set has no such message.
        """
        try:
            descriptor = self.pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
        except KeyError as e:
            raise self._lacks(f"{PACKAGE}.{name}") from e
        return message_factory.GetMessageClass(descriptor)

    def enum(self, name: str) -> dict[str, int]:
        """Give the names and numbers of an enumeration, e.g. `DishOutage.Cause`.

        Raises:
            ConfigError: this descriptor set has no such enumeration.
        """
        try:
            descriptor = self.pool.FindEnumTypeByName(f"{PACKAGE}.{name}")
        except KeyError as e:
            raise self._lacks(f"{PACKAGE}.{name}") from e
        return {value.name: value.number for value in descriptor.values}

    def request(self, ask: str) -> Any:
        """Make a `Request` that asks for `ask`, e.g. `get_status`.

        Raises:
            ConfigError: the descriptor set does not know this request.
        """
        request: Any = self.message("Request")()
        if ask not in request.DESCRIPTOR.fields_by_name:
            raise self._lacks(f"request {ask!r}")
        getattr(request, ask).SetInParent()
        return request

    def response(self, raw: bytes) -> Any:
        """Read a `Response`.

        Raises:
            BadAnswer: the bytes are no such message.
        """
        try:
            return self.message("Response").FromString(raw)
        except DecodeError as e:
            raise BadAnswer(
                Reason.PROTOCOL, f"{len(raw)} bytes that are no Response message"
            ) from e

    def _lacks(self, what: str) -> ConfigError:
        return ConfigError(
            f"{self.origin} describes no {what}",
            hint="unset DUNES_PROTOSET, or export the set from newer firmware: "
            "grpcurl -protoset-out",
            code="protoset",
        )


def kind_of(response: Any) -> str:
    """Say which answer a `Response` holds, e.g. `dish_get_status`; empty if we know none."""
    return str(response.WhichOneof("response") or "")


def enum_name(message: Any, field: str) -> str:
    """Give the name of an enum field's value; its number as text where firmware is newer.

    Empty where this descriptor set lacks the field.
    """
    descriptor = message.DESCRIPTOR.fields_by_name.get(field)
    if descriptor is None:
        return ""
    number = getattr(message, field)
    known = descriptor.enum_type.values_by_number.get(number)
    return str(known.name) if known is not None else str(number)


def read(message: Any, field: str, default: Any) -> Any:
    """Give a field, or `default` where this descriptor set lacks it."""
    return getattr(message, field, default)


def device_api(environ: Mapping[str, str] | None = None) -> DeviceApi:
    """Load the descriptors: ours, or the set that `DUNES_PROTOSET` names.

    Raises:
        ConfigError: that file is missing, or no descriptor set of the device API.
    """
    env = os.environ if environ is None else environ
    return _load(Path(env.get("DUNES_PROTOSET") or OWN_SET))


@lru_cache(maxsize=4)
def _load(path: Path) -> DeviceApi:
    try:
        blob = path.read_bytes()
        files = descriptor_pb2.FileDescriptorSet.FromString(blob).file
    except OSError as e:
        raise ConfigError(
            f"{path} cannot be read: {e.strerror}", hint="unset DUNES_PROTOSET", code="protoset"
        ) from e
    except DecodeError as e:
        raise ConfigError(
            f"{path} is no descriptor set",
            hint="export one with grpcurl -protoset-out, or unset DUNES_PROTOSET",
            code="protoset",
        ) from e
    pool = descriptor_pool.DescriptorPool()
    try:
        for file in _dependencies_first({f.name: f for f in files}):
            pool.AddSerializedFile(file.SerializeToString())
    except (TypeError, ValueError) as e:
        raise ConfigError(
            f"{path} is incomplete: {str(e)[:200]}",
            hint="export it with its imports: protoc --include_imports, grpcurl -protoset-out",
            code="protoset",
        ) from e
    api = DeviceApi(pool, str(path))
    for needed in ("Request", "Response"):
        api.message(needed)
    return api


def _dependencies_first(
    files: Mapping[str, descriptor_pb2.FileDescriptorProto],
) -> Iterator[descriptor_pb2.FileDescriptorProto]:
    """Order files so that each comes after what it imports (any order may be exported)."""
    done: set[str] = set()
    waiting = [(name, False) for name in reversed(list(files))]
    while waiting:
        name, ready = waiting.pop()
        if name in done or name not in files:
            continue
        if ready:
            done.add(name)
            yield files[name]
        else:
            waiting.append((name, True))
            waiting += [(other, False) for other in files[name].dependency if other not in done]
