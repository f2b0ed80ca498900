"""Bluetooth Mesh, sans-IO: bytes, time and dice come in; bytes and events go out.

From the inside out:

    toolbox keys keyring          crypto functions, derived keys, which key explains a PDU
    network beacon ivindex        sealed network PDUs, beacons, IV update and recovery
    lower outgoing incoming       segmentation, acknowledgements, reassembly
    upper control replay          access and control messages, replay list
    sequence state stack          SEQ in reserved blocks; what is stored; the layers joined
    sar proxy                     GATT bearers: segmentation, filter, configuration
    provisioning/                 both roles as state machines
    models/                       foundation models, OnOff, Level, Sensor, our vendor model
    node manager                  a device of the mesh; the gateway that runs it

Source: Mesh Protocol 1.1 and Mesh Model 1.1 of the Bluetooth SIG.
"""
