"""Models: what nodes say to each other above the access layer.

wire          field types, and the base of all messages
composition   what a node is made of
config, health, generic, sensor     messages of the specifications
properties    device properties: how a sensor's octets become a number
habitat       our vendor model, generated from habitat.toml
server        what a server model is, for a node
"""
