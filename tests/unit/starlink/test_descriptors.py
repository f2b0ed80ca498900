"""The descriptor set: names, numbers and types are those of the device API."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor

from dunes.errors import ConfigError
from dunes.starlink.descriptors import OWN_SET, PACKAGE, device_api, enum_name, kind_of
from dunes.starlink.errors import BadAnswer
from dunes.starlink.grpcweb import encode_frame

VECTORS = Path(__file__).parents[2] / "vectors/starlink"
LETTERS = {
    "f": FieldDescriptor.TYPE_FLOAT,
    "d": FieldDescriptor.TYPE_DOUBLE,
    "b": FieldDescriptor.TYPE_BOOL,
    "s": FieldDescriptor.TYPE_STRING,
    "i": FieldDescriptor.TYPE_INT32,
    "I": FieldDescriptor.TYPE_INT64,
    "u": FieldDescriptor.TYPE_UINT32,
    "U": FieldDescriptor.TYPE_UINT64,
    "B": FieldDescriptor.TYPE_BYTES,
    "E": FieldDescriptor.TYPE_ENUM,
    "M": FieldDescriptor.TYPE_MESSAGE,
    "map": FieldDescriptor.TYPE_MESSAGE,
}
REQUESTS = json.loads((VECTORS / "requests.json").read_text())["cases"]


def table(name: str) -> Iterator[tuple[str, list[str]]]:
    for line in (VECTORS / name).read_text().splitlines():
        if line and not line.startswith("#"):
            head, *words = line.split()
            yield head, words


def facts() -> dict[str, dict[str, tuple[int, int, bool]]]:
    """Read the fact table: message → field → (number, type, repeated)."""
    found = {}
    for message, words in table("fields.txt"):
        fields, kind = {}, ""
        for word in words:
            name, colon, number = word.partition(":")
            if not colon:
                kind = word
            else:
                repeated = kind.endswith("*") or kind == "map"
                fields[name] = (int(number), LETTERS[kind.rstrip("*")], repeated)
        found[message] = fields
    return found


@pytest.mark.parametrize("message", list(facts()))
def test_a_message_has_the_published_names_numbers_and_types(message):
    descriptor = device_api({}).message(message).DESCRIPTOR
    ours = {f.name: (f.number, f.type, f.is_repeated) for f in descriptor.fields}
    assert facts()[message] == ours


def test_the_fact_table_knows_every_field_that_we_declare():
    api = device_api({})
    declared = {
        name.removeprefix(f"{PACKAGE}.")
        for name in _messages(api)
        if api.pool.FindMessageTypeByName(name).fields
    }
    assert declared - {"DishGetStatusResponse.DownstreamRoutersEntry"} == set(facts())


def _messages(api) -> Iterator[str]:
    file = descriptor_pb2.FileDescriptorProto()
    api.pool.FindFileContainingSymbol(f"{PACKAGE}.Request").CopyToProto(file)
    for message in file.message_type:
        yield f"{PACKAGE}.{message.name}"
        yield from (f"{PACKAGE}.{message.name}.{inner.name}" for inner in message.nested_type)


@pytest.mark.parametrize(("enum", "words"), list(table("enums.txt")))
def test_an_enumeration_has_the_published_values(enum, words):
    expected = {name: int(number) for name, number in (w.split(":") for w in words)}
    assert expected == device_api({}).enum(enum)


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case["ask"])
def test_a_request_is_the_published_bytes(case):
    raw = device_api({}).request(case["ask"]).SerializeToString()
    assert bytes.fromhex(case["frame"]) == encode_frame(raw)


def test_the_foreign_packages_keep_their_true_names():
    pool = device_api({}).pool
    for name in (
        "SpaceX.API.Satellites.Network.UtDisablementCode",
        "SpaceX.API.Telemetron.Public.Integrations.RateLimitReason",
    ):
        assert name == pool.FindEnumTypeByName(name).full_name
    assert pool.FindMessageTypeByName("SpaceX.API.Status.Status").fields_by_name["code"]


def test_the_compiled_set_is_that_of_the_proto_files(tmp_path):
    if find_spec("grpc_tools"):
        compiler = [sys.executable, "-m", "grpc_tools.protoc"]
    elif shutil.which("protoc"):
        compiler = ["protoc"]
    else:
        pytest.skip("needs protoc or grpcio-tools, to compile the .proto files")
    out = tmp_path / "set"
    sources = OWN_SET.with_name("proto")
    subprocess.run(
        [*compiler, "-I", sources, "--include_imports", f"--descriptor_set_out={out}",
         sources / "device.proto"],
        check=True,
    )  # fmt: skip
    parse = descriptor_pb2.FileDescriptorSet.FromString
    assert parse(out.read_bytes()) == parse(OWN_SET.read_bytes())


def test_an_unknown_enum_number_survives_and_is_shown_as_a_number():
    api = device_api({})
    status = api.message("DishGetStatusResponse")()
    status.outage.cause = 77
    again = type(status).FromString(status.SerializeToString())
    assert enum_name(again.outage, "cause") == "77"
    assert again.outage.cause == 77


def test_an_answer_of_an_unknown_kind_has_no_name():
    field_9999 = bytes.fromhex("fae90400")
    assert kind_of(device_api({}).response(field_9999)) == ""


def test_bytes_that_are_no_message_are_the_peers_fault():
    with pytest.raises(BadAnswer):
        device_api({}).response(b"\xff\xff\xff")


def own_files() -> list[descriptor_pb2.FileDescriptorProto]:
    return list(descriptor_pb2.FileDescriptorSet.FromString(OWN_SET.read_bytes()).file)


def test_an_exported_set_takes_the_place_of_ours_in_any_order(tmp_path):
    export = tmp_path / "dish.protoset"
    files = descriptor_pb2.FileDescriptorSet(file=reversed(own_files()))
    export.write_bytes(files.SerializeToString())
    api = device_api({"DUNES_PROTOSET": str(export)})
    assert str(export) == api.origin
    assert api.request("get_status").HasField("get_status")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xff\xff", "no descriptor set"),
        (b"", "describes no"),
        (
            descriptor_pb2.FileDescriptorSet(file=own_files()[-1:]).SerializeToString(),
            "incomplete",
        ),
    ],
)
def test_a_set_that_cannot_be_used_is_a_configuration_error(tmp_path, content, said):
    export = tmp_path / "dish.protoset"
    export.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        device_api({"DUNES_PROTOSET": str(export)})


def test_a_missing_set_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        device_api({"DUNES_PROTOSET": str(tmp_path / "none")})


def test_a_request_that_an_old_set_lacks_is_a_configuration_error(tmp_path):
    export = tmp_path / "old.protoset"
    files = own_files()
    request = next(m for m in files[-1].message_type if m.name == "Request")
    kept = [f for f in request.field if f.name != "get_diagnostics"]
    del request.field[:]
    request.field.extend(kept)
    export.write_bytes(descriptor_pb2.FileDescriptorSet(file=files).SerializeToString())
    with pytest.raises(ConfigError, match="get_diagnostics"):
        device_api({"DUNES_PROTOSET": str(export)}).request("get_diagnostics")
