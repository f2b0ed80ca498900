"""The ground station's own table, beside the buffer's: who may write."""

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from dunes.buffer.schema import metadata

gateway = Table(
    "gateway",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("kid", String(32), nullable=False),
    # SubjectPublicKeyInfo, DER
    Column("spki", LargeBinary, nullable=False),
    # never the key itself
    Column("api_key_sha256", LargeBinary(32), nullable=False),
    Column("standing", String(16), nullable=False),
    Column("enrolled_us", BigInteger, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
)
