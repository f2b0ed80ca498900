"""The gateway layer: profile, sync and the ground station."""
