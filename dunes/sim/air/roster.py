"""Which nodes a site has: names, kinds, identities. Pure."""

import hashlib
import uuid
from dataclasses import dataclass, field

from dunes.sim.definition import AirSpec, NodeKind, SiteDefinition

STATIC_RANDOM = 0xC0
"""Top bits of a static random address (Core Specification 5.4, vol. 6, part B, 1.3.2.1)."""


@dataclass(frozen=True, slots=True)
class Member:
    """One node of a site.

    Attributes:
        name: `hab-sensor-001`.
        kind: what it is.
        number: among its kind, from 1.
        uuid: Device UUID, 16 bytes, version 5.
        address: 6 bytes, as people write it: most significant first.
        static_oob: 16 bytes; what its label says.
    """

    name: str
    kind: NodeKind
    number: int
    uuid: bytes
    address: bytes
    static_oob: bytes = field(repr=False)


def counts(spec: AirSpec, nodes: int) -> list[int]:
    """Share nodes out among the kinds: each gets its share, rounded, the first the rest.

    With fewer nodes than kinds the first kinds get one each.
    """
    if nodes < len(spec.kinds):
        return [int(number < nodes) for number in range(len(spec.kinds))]
    shared = [max(1, round(each.share * nodes)) for each in spec.kinds[1:]]
    while sum(shared) >= nodes:
        shared[shared.index(max(shared))] -= 1
    return [nodes - sum(shared), *shared]


def roster(definition: SiteDefinition, nodes: int) -> list[Member]:
    """List the nodes of a site; the same ones whenever it is asked.

    Args:
        definition: with a mesh.
        nodes: how many.
    """
    spec = definition.air
    if spec is None:
        return []
    members = []
    for kind, count in zip(spec.kinds, counts(spec, nodes), strict=True):
        for number in range(1, count + 1):
            name = f"{kind.device}-{number:03d}"
            made = uuid.uuid5(uuid.NAMESPACE_URL, f"dunes-sim/{definition.name}/{name}").bytes
            digest = hashlib.sha256(b"label" + definition.seed.to_bytes(8, "big") + made).digest()
            address = bytes([digest[0] | STATIC_RANDOM]) + digest[1:6]
            members.append(Member(name, kind, number, made, address, digest[16:]))
    return members
