"""Firmware of nodes: read, signed, kept, judged, and flashed so that it can be taken back.

From the inside out:

    image version uf2 manifest    formats: MCUboot images, UF2 files, signed manifests (pure)
    rules                         may this image go to that node, and if not, why (pure)
    catalogue fetch               a folder of firmware; a folder behind HTTPS
    target                        what `--device` names
    session smp                   upload, test, reset, read the version, confirm; over smpclient
    links hci                     serial, BLE and UDP for it; BLE without BlueZ
    copy probe                    UF2 to a mounted volume; a debug probe through pyOCD
    flash                         several nodes at once

Nothing is sent to a node before `rules` has no objection left.
"""
