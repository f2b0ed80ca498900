"""The verbs of the house, one file each: parse, call the library, print."""
