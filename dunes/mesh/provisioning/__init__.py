"""Provisioning: a device gets keys and an address (Mesh Protocol 1.1, section 5).

    pdus        what is said
    crypto      key pairs, confirmations, session keys, for both algorithms
    oob         authentication values: static, shown, typed in
    provisioner the gateway's role        device    the new node's role

The two roles share what is said and how it is computed, not their state machines.
"""
