"""Composition Data page 0: what a node is made of (Mesh Protocol 1.1, 4.2.2.1).

CID PID VID CRPL Features (2 each) | per element: Loc(2) NumS(1) NumV(1) models
"""

from dataclasses import dataclass

from dunes.mesh.errors import BadPdu
from dunes.mesh.wire import SIG_MODEL_BYTES, VENDOR_MODEL_BYTES, ModelId, decode_model

HEAD_BYTES = 10
ELEMENT_HEAD_BYTES = 4


@dataclass(frozen=True, slots=True)
class Element:
    """One addressable part of a node.

    Attributes:
        location: where it is, from the SIG's list of locations; 0 unknown.
        models: of the SIG first, then of companies.
    """

    location: int
    models: tuple[ModelId, ...]

    def encode(self) -> bytes:
        """Give its octets."""
        sig = [model for model in self.models if model.company is None]
        vendor = [model for model in self.models if model.company is not None]
        head = self.location.to_bytes(2, "little") + bytes([len(sig), len(vendor)])
        return head + b"".join(model.encode() for model in sig + vendor)


@dataclass(frozen=True, slots=True)
class Composition:
    """Page 0.

    Attributes:
        cid: company identifier.
        pid: product.
        vid: version.
        crpl: how many sources its replay list holds.
        features: bits, see `dunes.mesh.control.Feature`.
        elements: element i has the primary address plus i.
    """

    cid: int
    pid: int
    vid: int
    crpl: int
    features: int
    elements: tuple[Element, ...]

    def encode(self) -> bytes:
        """Give the page's octets."""
        head = (self.cid, self.pid, self.vid, self.crpl, self.features)
        return b"".join(
            [each.to_bytes(2, "little") for each in head]
            + [element.encode() for element in self.elements]
        )

    @classmethod
    def decode(cls, data: bytes) -> "Composition":
        """Read the page.

        Raises:
            BadPdu: it ends in the middle, or has no element.
        """
        cid, pid, vid, crpl, features = (
            int.from_bytes(data[at : at + 2], "little") for at in range(0, HEAD_BYTES, 2)
        )
        at, elements = HEAD_BYTES, []
        while at < len(data):
            element, at = _element(data, at)
            elements.append(element)
        if not elements:
            raise BadPdu(f"composition data of {len(data)} octets")
        return cls(cid, pid, vid, crpl, features, tuple(elements))

    def has(self, model: ModelId) -> list[int]:
        """Give the numbers of the elements that have a model."""
        return [at for at, element in enumerate(self.elements) if model in element.models]


def _element(data: bytes, at: int) -> tuple[Element, int]:
    head = data[at : at + ELEMENT_HEAD_BYTES]
    if len(head) != ELEMENT_HEAD_BYTES:
        raise BadPdu("composition data that ends in an element")
    sizes = [SIG_MODEL_BYTES] * head[2] + [VENDOR_MODEL_BYTES] * head[3]
    at += ELEMENT_HEAD_BYTES
    if at + sum(sizes) > len(data):
        raise BadPdu("composition data that ends in a list of models")
    models = []
    for size in sizes:
        models.append(decode_model(data[at : at + size]))
        at += size
    return Element(int.from_bytes(head[:2], "little"), tuple(models)), at
