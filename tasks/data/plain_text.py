"""Turns the bytes of a text file into UTF-8 with one kind of line end: unpacked, decoded."""

import bz2
import codecs
import gzip
import io
import lzma
from collections.abc import Callable
from typing import Any

import psutil
import pyarrow as pa
from charset_normalizer import from_bytes

SAMPLE_BYTES = 2**18
PACKED: dict[bytes, tuple[str, Callable[[io.BytesIO], Any]]] = {
    b"\x1f\x8b": ("gzip", lambda packed: gzip.GzipFile(fileobj=packed)),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMAFile),
    b"\x28\xb5\x2f\xfd": ("zstd", lambda packed: pa.CompressedInputStream(packed, "zstd")),
}
"""How compressed files begin, what they are called, and how they are opened."""

ENCODINGS = ["cp1252", "cp1250", "cp1251", "shift_jis", "gb18030", "big5", "euc_kr"]
WESTERN = frozenset("äöüÄÖÜßàâáãåæçéèêëíìîïñóòôõøœúùûýÿÀÂÁÃÅÆÇÉÈÊÍÑÓÔÕØŒÚ°µ±²³·×§€£´–—‘’“”…\xa0")

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def unpack(data: bytes) -> tuple[bytes, str | None]:
    """Return what is in a compressed file, and the compression; other bytes as they are.

    Raises `ValueError` where it would not fit into half of the free memory.
    """
    for magic, (name, open_packed) in PACKED.items():
        if data.startswith(magic):
            most = psutil.virtual_memory().available // 2
            with open_packed(io.BytesIO(data)) as file:
                unpacked = file.read(most + 1)
            if len(unpacked) > most:
                raise ValueError(f"it unpacks to more than the {most / 2**30:.1f} GiB that are free for it")
            return unpacked, name
    return data, None


def decode(data: bytes, encoding: str | None) -> tuple[bytes, str]:
    """Return the text in UTF-8, and what it was encoded in: as told, by its byte order mark, UTF-8, or a guess."""
    chosen = encoding or next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    chosen = chosen or ("utf-8" if _is_utf8(data) else _guess(data))
    if chosen.replace("-", "").lower() != "utf8":
        data = data.decode(chosen).removeprefix("\ufeff").encode()
    elif not _is_utf8(data):
        raise ValueError(f"it is not {chosen}")
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    if b"\0" in data:
        raise ValueError("it holds NUL bytes, so it is no text, or in an encoding to be named in prepare.csv.encoding")
    return data.removeprefix(codecs.BOM_UTF8), chosen.removesuffix("-sig")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _guess(data: bytes) -> str:
    """Return the likeliest encoding: that of Western Europe where its letters explain all, else what is detected."""
    try:
        western = {letter for letter in data.decode("cp1252") if not letter.isascii()}
    except UnicodeDecodeError:
        western = None
    if western is not None and western <= WESTERN:
        return "cp1252"
    lines = b"\n".join(line for line in data.splitlines() if not line.isascii())
    found = from_bytes(lines[:SAMPLE_BYTES], cp_isolation=ENCODINGS).best()
    try:
        data.decode(found.encoding if found else "ascii")
    except UnicodeDecodeError as error:
        raise ValueError("it is in no encoding that is known: name the right one in prepare.csv.encoding") from error
    return found.encoding if found else "ascii"
