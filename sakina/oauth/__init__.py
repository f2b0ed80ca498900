"""An OAuth 2.0 client on plain httpx, for any issuer that keeps to the RFCs.

Flows: device authorization (RFC 8628), authorization code with PKCE on loopback (RFC
7636, 8252, 9207), client credentials (RFC 6749, RFC 7523). Then refresh with rotation,
DPoP (RFC 9449), revocation (RFC 7009).

Time, waiting, dice and HTTP come in as arguments (`Wait`, `Http`); the state machines
(`device`, `pkce`) do no IO. JOSE is `sakina.oauth.jose`, some hundred lines on
`cryptography`, which is in every installation: the libraries for it come only with the
simulated site, and what a client needs is one signature and a few checks.
"""
