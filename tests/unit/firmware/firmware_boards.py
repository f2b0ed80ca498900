"""Virtual boards for tests, and a transport of smpclient that leads to one in memory."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from smpclient.transport import SMPTransport, SMPTransportDisconnected

from dunes.firmware.version import Version
from dunes.sim.mcuboot import Board
from dunes.sim.signedimage import make_image
from dunes.sim.smp_server import SmpServer

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
BODY = bytes(range(256)) * 40


def image(version="1.2.0", board="simulated", key=KEY, body=BODY):
    return make_image(body, Version.parse(version), board, key)


def board(version="1.1.0", **more):
    return Board("simulated", KEY.public_key(), image(version), **more)


def server(name="rover-001", **more):
    return SmpServer(board(**more), name)


class MemoryTransport(SMPTransport):
    """A link to a server in this process.

    `cut(frame)` decides for each request whether the link breaks then.
    """

    def __init__(self, server, cut=lambda _frame: False, mtu=512, buffered=True):
        self._server = server
        self._cut = cut
        self._mtu = mtu
        self._buffered = buffered
        self._answer = None

    async def connect(self, _address, _timeout_s):
        self._answer = None

    async def disconnect(self):
        if self._server.reset_due:
            self._server.reset()

    async def send(self, data):
        if self._cut(data):
            raise SMPTransportDisconnected("cut")
        self._answer = self._server.receive(bytes(data))

    async def receive(self):
        if self._answer is None:
            raise TimeoutError
        return self._answer

    async def send_and_receive(self, data):
        await self.send(data)
        return await self.receive()

    @property
    def mtu(self):
        return self._mtu

    @property
    def max_unencoded_size(self):
        return super().max_unencoded_size if self._buffered else self._mtu
