"""What a key document must not contradict: its own key.

Whether a key is to be believed, and whether its file may be used, is the crypto
room's to say; here the document is only compared with itself.
"""

from collections.abc import Iterator

from dunes.maml.document import Document
from dunes.maml.pem import CLEAR_PRIVATE, PRIVATE_LABEL, pem_blocks

Complaint = tuple[str, str, tuple[int, int]]


def complaints(document: Document) -> Iterator[Complaint]:
    """Give (code, message, place) of each contradiction between a key document and its key."""
    front = document.front or {}
    blocks = [
        (block, document.position(fence.inside + block.index))
        for fence in document.fences
        for block in pem_blocks(fence.text)
    ]
    for found in PRIVATE_LABEL.finditer(document.text):
        if found[1] in CLEAR_PRIVATE:
            message = f"a {found[1]} stands here in clear: encrypt it"
            yield "clear-private-key", message, document.position(found.start())
    public = [(block, at) for block, at in blocks if block.label == "PUBLIC KEY"]
    for block, at in public:
        if block.der is None:
            yield "bad-pem", "the PEM block is not base64", at
    if not public:
        yield "key-block-absent", "no fenced PEM block PUBLIC KEY", (1, 1)
        return
    kid = front.get("kid")
    named = next(((b, at) for b, at in public if b.kid == kid), None)
    if named is None:
        message = f"kid is not that of the key in line {public[0][1][0]} ({public[0][0].kid})"
        yield "kid-mismatch", message, document.position_of("kid")
        return
    algorithm = front.get("alg")
    if named[0].algorithm != algorithm:
        held = named[0].algorithm or "no ML-DSA key"
        yield "alg-mismatch", f"alg is not that of the key: {held}", document.position_of("alg")
