"""Ask a gRPC-Web server by sonora; requests as JSON {name: hex} on stdin, answers on stdout."""

import json
import sys

import grpc
from sonora.client import insecure_web_channel

told = {}
with insecure_web_channel(sys.argv[1]) as channel:
    call = channel.unary_unary("/SpaceX.API.Device.Device/Handle", bytes, bytes)
    for name, request in json.load(sys.stdin).items():
        try:
            message = call(bytes.fromhex(request), timeout=5)
            told[name] = {"code": "OK", "message": message.hex()}
        except grpc.RpcError as e:
            told[name] = {"code": e.code().name, "message": ""}
json.dump(told, sys.stdout)
