"""Headers of MetaImage and NRRD files, checked before SimpleITK opens the file: it trusts whatever they say.

A header that promises more voxels than its file holds is refused, as is one that is no plain text: a long line ends the
process of SimpleITK 2.
"""

import math
import re
import zlib
from pathlib import Path

from brats_unet.errors import DataError
from brats_unet.files import MOST_PACKED
from brats_unet.hardware import memory_available_bytes
from brats_unet.scan_formats import broken, suffix_of, unreadable

NRRD = (".nrrd", ".nhdr")
HEADER_BYTES = 65536  # a header ends before
LONGEST_LINE, LONGEST_WORD = 1000, 255
BLOCK = 2**20
META_BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4} | {
    "LONG_LONG": 8,
    "ULONG_LONG": 8,
    "FLOAT": 4,
    "DOUBLE": 8,
}
META_VECTORS = ("ElementSpacing", "ElementSize", "Offset", "Position", "Origin", "CenterOfRotation")
META_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
NRRD_BYTES = (  # of a voxel; the first pattern in the name of its type decides
    (r"long long|int64|double", 8),
    (r"int8|char", 1),
    (r"int16|short", 2),
    (r"int32|^(unsigned |signed )?int$|^uint$|float", 4),
)
YES, NO = ("true", "t", "1"), ("false", "f", "0")  # of MetaImage, in any case
PACKED, TEXT, RAW = ("gz", "gzip"), ("ascii", "txt", "text", "hex"), ("raw",)


def fields_of(path: Path) -> dict[str, str]:
    """The fields of a header by name, in lower case for NRRD.

    Raises:
        DataError: The file cannot be opened, or its header is no text of short lines.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as problem:
        raise unreadable(path, problem) from problem
    return _parsed(path, head)[0]


def _parsed(path: Path, head: bytes) -> tuple[dict[str, str], int]:
    """Fields, and the bytes of the header."""
    nrrd = suffix_of(path) in NRRD
    fields: dict[str, str] = {}
    at = 0
    while at < len(head):
        end = head.find(b"\n", at)
        end = len(head) if end < 0 else end
        line = head[at:end].rstrip(b"\r")
        at = end + 1
        if len(line) > LONGEST_LINE or b"\0" in line or any(len(word) > LONGEST_WORD for word in line.split()):
            raise broken(path, "its header is no text of short lines")
        if nrrd and not line:
            break
        name, mark, value = line.decode("utf-8", "replace").partition(":" if nrrd else "=")
        name = name.strip().lower() if nrrd else name.strip()
        if name and not mark and not nrrd:
            raise broken(path, f"its header: the line {name[:100]} gives no value")
        if mark and not (nrrd and name.startswith("#")):
            if name in fields:
                raise broken(path, f"its header holds {name} twice")
            fields[name] = value.strip()
        if not nrrd and name == "ElementDataFile":
            break
    return fields, min(at, len(head))


def refuse_false_promise(files: list[Path]) -> None:
    """Refuse a file whose header does not fit what is behind it.

    Args:
        files: The file with the header, and the file of the voxels if that is another.

    Raises:
        DataError: The header lacks a field, has one that is no number, or promises more voxels than the file or the
            memory can hold; or the packed voxels end too early.
    """
    path, data = files[0], files[-1]
    try:
        with open(path, "rb") as file:
            head = file.read(HEADER_BYTES)
        size = data.stat().st_size
    except OSError as problem:
        raise unreadable(path, problem) from problem
    fields, header = _parsed(path, head)
    try:
        promised, encoding = (_of_nrrd if suffix_of(path) in NRRD else _of_meta)(fields)
    except (ValueError, KeyError) as problem:
        raise broken(path, f"its header: {str(problem) or type(problem).__name__}") from None
    held = size - (header if data == path else 0)
    if promised > (held * MOST_PACKED if encoding in PACKED else held):
        raise broken(path, f"its header promises {promised:,} bytes, {held:,} are there")
    if promised > (free := memory_available_bytes()):
        raise DataError(
            f"{path}: its header promises {promised:,} bytes, but {free:,} bytes of memory are free. Correct its "
            f"header, or use a machine with more memory."
        )
    if encoding in PACKED:
        packed = int(fields.get("CompressedDataSize", "0"))  # MetaImage needs it where the voxels follow
        if packed == 0 and data == path and suffix_of(path) not in NRRD:
            raise broken(path, "its header gives no CompressedDataSize")
        if not 0 < (packed := packed or held) <= held:
            raise broken(path, f"its header promises {packed:,} packed bytes, {held:,} are there")
        _refuse_damaged(path, data, size - held, packed, promised)
    if encoding in TEXT and encoding != "hex" and not _numbers_in_text(data, size - held, (promised + 1) // 2):
        raise broken(path, f"its header promises {(promised + 1) // 2:,} numbers as text")


def _of_meta(fields: dict[str, str]) -> tuple[int, str]:
    """Bytes of the voxels and their encoding, by the header of a MetaImage file."""
    axes = int(fields["NDims"])
    shape = _lengths(fields["DimSize"], axes)
    for count, names in ((axes, META_VECTORS), (axes**2, META_MATRICES)):
        for name in names:
            if name in fields and len(_numbers(fields[name])) != count:
                raise ValueError(f"{name} {fields[name][:100]}; expected {count} numbers")
    voxel = META_BYTES[fields["ElementType"].removeprefix("MET_").removesuffix("_ARRAY")]
    channels, _ = int(fields.get("ElementNumberOfChannels", "1")), int(fields.get("CompressedDataSize", "0"))
    if not 1 <= channels <= 100 or int(fields.get("HeaderSize", "0")) not in (0, -1):
        raise ValueError(f"{channels} channels, HeaderSize {fields.get('HeaderSize', 0)}")
    numbers = math.prod(shape) * channels
    compressed = _flag(fields, "CompressedData")
    if not _flag(fields, "BinaryData"):
        return 2 * numbers - 1, "ascii"
    return numbers * voxel, "gzip" if compressed else "raw"


def _flag(fields: dict[str, str], name: str) -> bool:
    """A field of MetaImage that is true or false; false without it."""
    text = fields.get(name, "False")
    if text.lower() not in (*YES, *NO):
        raise ValueError(f"{name} {text[:100]}; expected True or False")
    return text.lower() in YES


def _of_nrrd(fields: dict[str, str]) -> tuple[int, str]:
    """The same for NRRD."""
    shape = _lengths(fields["sizes"], int(fields["dimension"]))
    for name in ("spacings", "space origin", "space directions", "axis mins", "axis maxs"):
        _numbers(re.sub(r"[(),]|\bnone\b|\bnan\b", " ", fields.get(name, "0"), flags=re.IGNORECASE) or "0")
    voxel = next((size for pattern, size in NRRD_BYTES if re.search(pattern, fields["type"].lower())), None)
    encoding = fields["encoding"].lower()
    if voxel is None or encoding not in (*PACKED, *TEXT, *RAW):
        raise ValueError(f"type {fields['type']}, encoding {encoding}; expected numbers, raw or gzip")
    skipped = (fields.get(name, fields.get(name.replace(" ", ""), "0")) for name in ("byte skip", "line skip"))
    if any(number not in ("0", "-1") for number in skipped):
        raise ValueError("it skips bytes or lines; expected the voxels at once")
    numbers = math.prod(shape)
    return (2 * numbers - 1 if encoding in TEXT else numbers * voxel), encoding


def _lengths(text: str, axes: int) -> list[int]:
    shape = [int(word) for word in text.split()]
    if not 2 <= axes <= 4 or len(shape) != axes or min(shape) < 1:
        raise ValueError(f"{axes} axes, sizes {text[:100]}; expected two to four lengths of 1 or more")
    return shape


def _numbers(text: str) -> list[float]:
    found = [float(word) for word in text.split()]
    if not all(map(math.isfinite, found)):
        raise ValueError(f"{text[:100]} is not finite")
    return found


def _numbers_in_text(path: Path, start: int, expected: int) -> bool:
    """Whether text holds as many numbers as expected or more, and nothing else."""
    with open(path, "rb") as file:
        file.seek(start)
        words = file.read().split()
    return len(words) >= expected and all(re.fullmatch(rb"[-+0-9.eE]+", word) for word in words)


def _refuse_damaged(path: Path, data: Path, start: int, packed: int, promised: int) -> None:
    """Refuse a zlib or gzip stream whose checksum is wrong, or that does not unpack to what the header promises.

    MetaImage compares nothing: it returns what it got before the error, and memory that nobody has written.

    Args:
        path: The file with the header.
        data: The file with the stream.
        start: Where the stream begins.
        packed: Bytes of the stream.
        promised: Bytes that it must unpack to.
    """
    stream, found, left = zlib.decompressobj(wbits=47), 0, packed  # 47: zlib or gzip
    with open(data, "rb") as file:
        file.seek(start)
        try:
            while found <= promised and not stream.eof:
                if not (block := stream.unconsumed_tail):
                    block = file.read(min(BLOCK, left))
                    left -= len(block)
                if not block:
                    break
                found += len(stream.decompress(block, BLOCK))
        except zlib.error:
            raise broken(path, "its packed voxels are damaged") from None
    if found != promised:
        raise broken(path, f"its header promises {promised:,} bytes, {found:,} are there")
    if not stream.eof:
        raise broken(path, "the checksum of its packed voxels is cut off")
