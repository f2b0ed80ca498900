"""Bluetooth Mesh, sans-IO: bytes, time and dice come in; bytes and events go out.

From the inside out:

    toolbox keys keyring          crypto functions, derived keys, which key explains a PDU
    network beacon ivindex        sealed network PDUs, beacons, IV update and recovery
    lower outgoing incoming       segmentation, acknowledgements, reassembly, `timing`
    upper control replay          access and control messages, replay list
    sequence state outbox stack   SEQ in reserved blocks; what is stored; the layers joined
    sar links proxy               GATT bearers: segmentation, filter, configuration
    access wire dispatch          opcodes, messages as dataclasses, which model takes which
    provisioning/                 both roles as state machines
    models/                       foundation models, OnOff, Level, Sensor, our vendor model
    node                          a device of the mesh: newcomer until it is provisioned; then
                                  serving, publisher, proxyserver; presence, nodestate
    manager                       the gateway, with nodebook, provisionings, proxyclient,
                                  requests; configurator and refresh work through it

All octets from the air may be hostile, even when the right keys sealed them: what cannot be
read is a `PeerError`, counted inside. Memory is bounded, per core:

    message cache 2048 · unfinished messages 64 (of 384 octets), finished ones 256 (numbers)
    replay list: the CRPL of a node, 4096 sources of a gateway · NetKeys 64 · AppKeys 240
    messages waiting 1024, control PDUs 1024, requests 8192 · events 4096 · links 64
    per model 16 AppKeys, 16 subscriptions · publications to repeat 64 · routes 4096

Randomness is a `random.Random` in the arguments: outside of tests a `SystemRandom`, as keys
are drawn from it. Times are seconds on one clock that never goes back.

Source: Mesh Protocol 1.1 and Mesh Model 1.1 of the Bluetooth SIG.
"""
