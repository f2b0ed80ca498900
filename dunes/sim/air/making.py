"""Make the parts of a virtual node: its radio, and what it says that it is."""

import math

from bumble import hci

from dunes.mesh.nodestate import Description
from dunes.mesh.provisioning.pdus import Capabilities, OobType
from dunes.sim.air.field import Place
from dunes.sim.air.medium import Medium
from dunes.sim.air.models import Models
from dunes.sim.air.pathloss import RadioSpec, rssi_dbm
from dunes.sim.air.peripheral import Peripheral
from dunes.sim.air.roster import Member

CRPL = 255
"""Large enough for all sources that a node of the site hears of."""
CARRIED_DBM = -80.0
"""The gateway hears every node at least so: it is carried to the nodes that it sets up."""
OOB_NUMBER, OOB_ON_BOX = 1 << 5, 1 << 11
"""OOB information: where to find the static value (Mesh Protocol 1.1, 3.10.2)."""


def make_peripheral(medium: Medium, member: Member, place: Place, spec: RadioSpec) -> Peripheral:
    """Make a node's radio towards centrals, and bring it into reach."""
    address = hci.Address(member.address[::-1], hci.Address.RANDOM_DEVICE_ADDRESS)
    heard_dbm = max(rssi_dbm(spec, math.hypot(*place)), CARRIED_DBM)
    made = Peripheral(
        medium, address, member.name, list, rssi_dbm=heard_dbm, mtu_max=member.kind.mtu
    )
    medium.attach(made)
    return made


def describe(member: Member, models: Models) -> Description:
    """Say what a node is."""
    return Description(
        member.uuid,
        models.elements,
        crpl=CRPL,
        capabilities=Capabilities(oob_type=OobType.STATIC),
        static_oob=member.static_oob,
        oob_information=OOB_NUMBER | OOB_ON_BOX,
        relay=member.kind.relay,
    )
