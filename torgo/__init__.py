"""Topology design for meshes that survive node loss."""
