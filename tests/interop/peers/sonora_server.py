"""Serve one canned answer to get_status by sonora's gRPC-Web; the port goes to stdout."""

import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import grpc
from sonora.wsgi import grpcWSGI

ANSWER = bytes.fromhex(sys.argv[1])
GET_STATUS = bytes.fromhex("e23e00")
REBOOT = bytes.fromhex("ca3e00")


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


def handle(request, context):
    if request != GET_STATUS:
        locked = request == REBOOT
        code = grpc.StatusCode.PERMISSION_DENIED if locked else grpc.StatusCode.UNIMPLEMENTED
        context.abort(code, "no")
    return ANSWER


application = grpcWSGI(None)
application.add_generic_rpc_handlers(
    (
        grpc.method_handlers_generic_handler(
            "SpaceX.API.Device.Device",
            {"Handle": grpc.unary_unary_rpc_method_handler(handle, bytes, bytes)},
        ),
    )
)
server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
print(server.server_port, flush=True)
server.serve_forever()
