"""gRPC-Web framing."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.starlink.errors import PeerError, Reason, StarlinkError
from dunes.starlink.grpcweb import (
    HEADER,
    encode_frame,
    encode_trailers,
    frames,
    parse_trailers,
    read_answer,
    read_body,
)

GRPC = {"content-type": "application/grpc-web+proto"}


@given(st.lists(st.tuples(st.sampled_from([0, 0x80]), st.binary(max_size=300)), max_size=5))
def test_what_is_framed_comes_out_again(parts):
    body = b"".join(encode_frame(data, flag) for flag, data in parts)
    assert parts == list(frames(body))


@given(st.binary(max_size=400))
def test_any_bytes_give_an_answer_or_a_peer_error(body):
    with suppress(PeerError):
        assert isinstance(read_body(body).status, int)


@given(st.integers(0, 16), st.text(max_size=80))
def test_a_status_and_its_text_survive_the_trailers(status, text):
    reply = read_body(encode_trailers(status, text))
    assert status == reply.status
    shown = "".join(c if c.isprintable() else "?" for c in text.strip(" "))
    assert shown == reply.text.strip(" ")


@given(st.binary(max_size=50), st.integers(0, 54))
def test_an_answer_cut_anywhere_is_told_as_truncated(data, at):
    whole = encode_frame(data)
    if at == 0 or at >= len(whole):
        return
    with pytest.raises(PeerError, match=r"truncated|within a frame header"):
        read_body(whole[:at])


@given(
    st.integers(100, 599),
    st.sampled_from(["", "text/html", "application/grpc-web+proto", "application/json"]),
    st.binary(max_size=60),
)
def test_any_http_answer_gives_bytes_or_a_reason(status, kind, body):
    with suppress(StarlinkError):
        assert isinstance(read_answer(status, {"content-type": kind}, body), bytes)


def test_a_good_answer_gives_its_message():
    body = encode_frame(b"hello") + encode_trailers(0)
    assert read_answer(200, GRPC, body) == b"hello"


def test_a_good_answer_may_have_its_status_in_the_headers():
    assert read_answer(200, GRPC | {"grpc-status": "0"}, encode_frame(b"hello")) == b"hello"


@pytest.mark.parametrize(
    ("status", "headers", "body", "reason"),
    [
        (200, {}, b"", Reason.NOT_STARLINK),
        (200, GRPC, b"", Reason.NOT_STARLINK),
        (200, {"content-type": "text/html"}, b"<html>Fritz</html>", Reason.NOT_STARLINK),
        (404, {"content-type": "text/html"}, b"no", Reason.NOT_STARLINK),
        (302, {"location": "/login"}, b"", Reason.NOT_STARLINK),
        (502, {}, b"", Reason.UNAVAILABLE),
        (503, {}, b"", Reason.UNAVAILABLE),
        (504, {"content-type": "text/plain"}, b"x", Reason.UNAVAILABLE),
        (200, GRPC | {"grpc-status": "7"}, b"", Reason.DENIED),
        (200, GRPC, encode_trailers(7), Reason.DENIED),
        (200, GRPC, encode_trailers(12, "nope"), Reason.UNIMPLEMENTED),
        (200, GRPC, encode_trailers(14), Reason.UNAVAILABLE),
        (200, GRPC, encode_trailers(13), Reason.PROTOCOL),
        (200, GRPC, encode_frame(b"x") + encode_trailers(14), Reason.UNAVAILABLE),
        (200, GRPC, encode_trailers(0), Reason.PROTOCOL),
        (200, GRPC, encode_frame(b"x", 0x01), Reason.PROTOCOL),
        (200, GRPC, encode_frame(b"x")[:-1], Reason.PROTOCOL),
        (200, GRPC, HEADER.pack(0, 2**32 - 1), Reason.PROTOCOL),
        (200, GRPC, encode_frame(b"grpc-status: -1\r\n", 0x80), Reason.PROTOCOL),
    ],
)
def test_what_went_wrong_has_its_reason(status, headers, body, reason):
    with pytest.raises(StarlinkError) as caught:
        read_answer(status, headers, body)
    assert reason is caught.value.reason


def test_a_refusal_without_words_gets_ours():
    with pytest.raises(StarlinkError, match="locked by the firmware"):
        read_answer(200, GRPC, encode_trailers(7))


def test_a_hostile_message_is_bounded_and_made_harmless():
    with pytest.raises(StarlinkError) as caught:
        read_answer(200, GRPC, encode_trailers(13, "\x1b[31m\u202e" + "x" * 10_000))
    assert len(caught.value.detail) < 300
    assert caught.value.detail.isprintable()


def test_trailer_names_are_read_in_any_case():
    block = b"Grpc-Status: 5\r\ngrpc-message:no%20such\r\nrubbish\r\n"
    assert {"grpc-status": "5", "grpc-message": "no%20such"} == parse_trailers(block)
