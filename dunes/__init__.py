"""The core library of dunes-mcp, and the `dunes` command."""

__version__ = "0.1.0"
