"""Bearers: what carries mesh PDUs through the air. BlueZ through bleak, or any HCI through Bumble."""
