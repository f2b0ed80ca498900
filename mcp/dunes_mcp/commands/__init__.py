"""One file per verb of `mcp`: parse, call the library, render."""
