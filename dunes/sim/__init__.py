"""The simulated site: real servers on loopback where a habitat, a sky and Earth would be."""
