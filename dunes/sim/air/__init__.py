"""The air of the simulated site: a virtual radio, and Bluetooth Mesh nodes that use it.

    medium controller hciserver   a link of Bumble's virtual controllers, mended; HCI over TCP
    peripheral gatt               what a node's radio does: advertise, one link, ATT
    field pathloss                who hears whom, and how well: the advertising bearer
    node keeper sensors           a node with its radio, its storage, its values

What is on the air is real: the same octets as between two boards. What is not: signals, time
on air, collisions. Needs the extra `sim` (Bumble).
"""
