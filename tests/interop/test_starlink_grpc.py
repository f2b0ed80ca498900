"""Foreign gRPC clients, that know nothing of us, against the virtual dish and router."""

from collections.abc import Iterator

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory

from dunes.sim.starlink import VirtualStarlink

reflection = pytest.importorskip(
    "grpc_reflection.v1alpha.proto_reflection_descriptor_database",
    reason="needs grpcio-reflection (extra sim)",
)

HANDLE = "/SpaceX.API.Device.Device/Handle"
STREAM = "/SpaceX.API.Device.Device/Stream"


@pytest.fixture(scope="module")
def virtual() -> Iterator[VirtualStarlink]:
    starlink = VirtualStarlink()
    starlink.endpoints = starlink.start()
    yield starlink
    starlink.stop()


class Reflected:
    """A client that learns all it knows from the server."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self.database = reflection.ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def message(self, name: str):
        descriptor = self.pool.FindMessageTypeByName(f"SpaceX.API.Device.{name}")
        return message_factory.GetMessageClass(descriptor)

    def ask(self, request: str):
        message, answer = self.message("Request")(id=7), self.message("Response")
        getattr(message, request).SetInParent()
        call = self.channel.unary_unary(HANDLE, type(message).SerializeToString, answer.FromString)
        return call(message, timeout=5)


@pytest.fixture(params=["192.168.100.1:9200", "192.168.1.1:9000"], ids=["dish", "router"])
def either(virtual, request) -> Iterator[Reflected]:
    client = Reflected(virtual.endpoints[request.param])
    client.kind = "dish" if "9200" in request.param else "wifi"
    yield client
    client.channel.close()


@pytest.fixture
def dish(virtual) -> Iterator[Reflected]:
    client = Reflected(virtual.endpoints["192.168.100.1:9200"])
    yield client
    client.channel.close()


def test_reflection_lists_the_service_under_its_true_name(either):
    assert "SpaceX.API.Device.Device" in either.database.get_services()


@pytest.mark.parametrize("request_name", ["get_status", "get_diagnostics", "get_history"])
def test_a_client_built_from_reflection_tells_the_devices_apart(either, request_name):
    answer = either.ask(request_name)
    expected = f"{either.kind}_{request_name}"
    assert (expected, 7) == (answer.WhichOneof("response"), answer.id)


def test_the_ring_is_full_and_counts_on(dish):
    history = dish.ask("get_history").dish_get_history
    assert len(history.pop_ping_drop_rate) == 900
    assert history.current > 900


@pytest.mark.parametrize(
    ("request_name", "code"),
    [
        ("reboot", grpc.StatusCode.PERMISSION_DENIED),
        ("dish_stow", grpc.StatusCode.PERMISSION_DENIED),
        ("dish_get_context", grpc.StatusCode.PERMISSION_DENIED),
        ("get_location", grpc.StatusCode.PERMISSION_DENIED),
        ("get_radio_stats", grpc.StatusCode.UNIMPLEMENTED),
    ],
)
def test_locked_and_unknown_requests_have_their_status(dish, request_name, code):
    with pytest.raises(grpc.RpcError) as caught:
        dish.ask(request_name)
    assert code is caught.value.code()


def test_an_empty_request_is_unimplemented(dish):
    call = dish.channel.unary_unary(HANDLE, bytes, bytes)
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=5)
    assert grpc.StatusCode.UNIMPLEMENTED is caught.value.code()


def test_the_stream_answers_each_request_and_health_check(dish):
    to_device, from_device = dish.message("ToDevice"), dish.message("FromDevice")
    first, second = to_device(), to_device()
    first.request.get_status.SetInParent()
    second.health_check.SetInParent()
    call = dish.channel.stream_stream(STREAM, to_device.SerializeToString, from_device.FromString)
    answers = list(call(iter([first, second]), timeout=5))
    assert [True, False] == [a.HasField("response") for a in answers]
    assert answers[0].response.WhichOneof("response") == "dish_get_status"


class TestStarlinkGrpcCore:
    """The library that most Python tools for a dish are made with."""

    @pytest.fixture
    def library(self):
        return pytest.importorskip("starlink_grpc", reason="needs starlink-grpc-core")

    @pytest.fixture
    def context(self, library, virtual):
        address = virtual.endpoints["192.168.100.1:9200"]
        context = library.ChannelContext(target=address)
        yield context
        context.close()

    def test_it_reads_status_and_obstruction(self, library, context):
        status, _, alerts = library.status_data(context)
        assert (status["id"], status["state"]) == ("utSIMULATED-00000001", "CONNECTED")
        assert status["fraction_obstructed"] == pytest.approx(0.0012)
        assert not any(alerts.values())

    def test_it_sees_an_outage_by_its_cause(self, library, context, virtual):
        virtual.cut(60, "OBSTRUCTED")
        try:
            assert library.status_data(context)[0]["state"] == "OBSTRUCTED"
        finally:
            virtual.restore()

    def test_it_reads_the_history_with_its_loss(self, library, context):
        general, ping, *_ = library.history_stats(60, context=context)
        assert general["samples"] == 60
        assert 0 <= ping["total_ping_drop"] < 10

    def test_it_draws_the_obstruction_map(self, library, context):
        grid = library.obstruction_map(context)
        assert (len(grid), len(grid[0])) == (123, 123)

    def test_it_finds_the_dish_locked(self, library, context):
        with pytest.raises(library.GrpcError):
            library.reboot(context)
