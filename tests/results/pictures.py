"""PNG pictures, good and bad, built from their chunks."""

import io
import random
import zlib

from PIL import Image
from PIL.PngImagePlugin import PngInfo

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def a_png(width: int = 16, height: int = 9, *, mode: str = "RGB", seed: int = 0, text: str = "") -> bytes:
    """Noise, so that no two seeds and no two rows look alike; `text` goes into chunks as ComfyUI writes them."""
    pixels = random.Random(seed).randbytes(width * height * len(Image.new(mode, (1, 1)).tobytes()))
    notes = PngInfo()
    if text:
        notes.add_text("prompt", text)
        notes.add_text("workflow", text, zip=True)
        notes.add_itxt("parameters", text)
    file = io.BytesIO()
    Image.frombytes(mode, (width, height), pixels).save(file, "PNG", pnginfo=notes)
    return file.getvalue()


def a_jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 9), "red").save(file, "JPEG")
    return file.getvalue()


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def header(width: int, height: int, *, depth: int = 8, color: int = 0, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", width.to_bytes(4) + height.to_bytes(4) + bytes([depth, color, 0, 0, interlace]))


def png_of(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND")


def gray_png(rows: bytes, *, width: int = 2, height: int = 2, interlace: int = 0, tail: bytes = b"") -> bytes:
    """An 8-bit gray picture with these filter bytes and pixels, and `tail` behind their zlib stream."""
    return png_of(header(width, height, interlace=interlace), chunk(b"IDAT", zlib.compress(rows) + tail))


def kinds(png: bytes) -> list[bytes]:
    """The kinds of its chunks, in order."""
    found, at = [], len(SIGNATURE)
    while at < len(png):
        found.append(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4])
    return found


def pixels(png: bytes) -> bytes:
    """As another reader sees them."""
    with Image.open(io.BytesIO(png)) as image:
        return image.tobytes()
