"""Bearers: what carries mesh PDUs through the air. BlueZ through bleak, any HCI through Bumble.

From the outside in:

    radio errors          what users of a radio see
    opening spec          which radio, and why that one
    bluez bluezlink       BlueZ through bleak; `bluezbus`: what bleak does not tell
    hci hcilink           any controller that speaks HCI, through Bumble's host
    attempts hearing      connecting takes several tries; one scan for all who listen
    advert gatt           what nodes advertise; which of their characteristics matter
    mailbox undisturbed   what came in and was not read yet; tidying up in spite of cancellation
"""
