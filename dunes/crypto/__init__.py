"""Keys, the suite 2048-AES/1, entropy and key files.

"2048-AES" is a product name: the cipher is AES-256-GCM, signatures are ML-DSA-65
(FIPS 204), key agreement is X-Wing (ML-KEM-768 with X25519). One suite, one
allow-list, no negotiation. The engine is `cryptography`; its modules are not a
validated FIPS module and neither is this.

Every module of the room imports `cryptography` (15 to 70 ms): import them inside
functions, where `--help` cannot reach.
"""
