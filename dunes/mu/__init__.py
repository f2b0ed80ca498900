"""Receipts: `.mu` files, what they prove, and the transparency log that counts them.

A `.mu` holds the mirror of a document and, in the form `mu/1`, digests and a signed
statement about it: it stands alone, and gives its source back byte for byte. A
mirror by itself proves nothing, since anyone can mirror a changed file; what a
receipt proves is said as a level: mirror, digest, signed, logged, cosigned.

Pure, except `log`, `logfile`, `logcheck` and `witness`, which keep, verify and
countersign the log on disk.
"""

from dunes.mu.errors import BadReceipt, Level
from dunes.mu.receipt import Draft, draft, sealed
from dunes.mu.verdict import Check, Verdict, judge

__all__ = ["BadReceipt", "Check", "Draft", "Level", "Verdict", "draft", "judge", "sealed"]
