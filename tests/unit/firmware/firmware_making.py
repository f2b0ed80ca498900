"""Make images as users do: with imgtool, MCUboot's own tool."""

from pathlib import Path

from imgtool.main import imgtool

HEADER_BYTES = 0x200
SLOT_BYTES = 0x69000


def make_key(folder: Path, kind: str = "ecdsa-p256") -> Path:
    path = folder / f"{kind}.pem"
    if not path.exists():
        imgtool(["keygen", "-k", str(path), "-t", kind], standalone_mode=False)
    return path


def sign_image(
    folder: Path,
    *,
    version: str = "1.2.0",
    board: str = "",
    kind: str = "ecdsa-p256",
    body: bytes = bytes(range(256)) * 16,
    more: tuple[str, ...] = (),
) -> bytes:
    source, target = folder / "body.bin", folder / "signed.bin"
    source.write_bytes(body)
    board_tlv = ["--custom-tlv", "0x00a0", f"board={board}"] if board else []
    arguments = [
        "sign", "--key", str(make_key(folder, kind)),
        "--header-size", hex(HEADER_BYTES), "--pad-header", "--slot-size", hex(SLOT_BYTES),
        "--align", "1", "--version", version, *board_tlv, *more, str(source), str(target),
    ]  # fmt: skip
    imgtool(arguments, standalone_mode=False)
    return target.read_bytes()
