"""The bytes of a NIfTI file that its header promises; too large a promise and a wrong checksum are refused."""

import math
import struct
from pathlib import Path

from isal import igzip_lib

from brats_unet.errors import DataError
from brats_unet.files import MOST_PACKED
from brats_unet.hardware import memory_available_bytes
from brats_unet.scan_formats import GZIP

MGH = (1).to_bytes(4, "big")  # how FreeSurfer's files begin
LONGEST_HEADER = 544  # of NIfTI-2, with the four bytes that say whether extensions follow
# Offset of dim, its type, offsets of bitpix and of vox_offset, and its type, by the size of the header.
MGH_VOXELS, MGH_BYTES = 284, {0: 1, 1: 4, 3: 4, 4: 2}  # where they begin; bytes of one by its type
BLOCK = 2**24
MGH_FOOTER = 65536  # at most, of FreeSurfer's remarks behind the voxels
LAYOUTS = {348: (40, "8h", 72, 108, "f"), 540: (16, "8q", 14, 168, "q")}


def unpacked(path: Path) -> bytes:
    """The bytes of a file, unpacked if it is gzip; of what its header promises, and no more.

    Raises:
        DataError: The header promises more bytes than there is memory.
        OSError: The file cannot be read.
        EOFError: The header promises more bytes than the file can hold, or the gzip stream is cut short or goes on.
        igzip_lib.IsalError: The gzip stream is broken.
    """
    data = path.read_bytes()
    packed = data[:2] == GZIP
    first = _gunzipped(data, LONGEST_HEADER) if packed else data[:LONGEST_HEADER]
    promised = promised_bytes(first)
    if promised is None:  # no header of NIfTI, which is found later
        return _gunzipped(data, LONGEST_HEADER) if packed else data
    held = len(data) * MOST_PACKED if packed else len(data)
    if promised > held:
        raise EOFError(f"its header promises {promised:,} bytes")
    if promised > (free := memory_available_bytes()):
        raise DataError(
            f"{path}: its header promises {promised:,} bytes, but {free:,} bytes of memory are free. Correct its "
            f"header, or use a machine with more memory."
        )
    if not packed:
        return data
    return _gunzipped(data, promised + (MGH_FOOTER if first[:4] == MGH else 0), spare=promised + BLOCK)


def promised_bytes(first: bytes) -> int | None:
    """Bytes of an unpacked file, header and voxels, by its header; None if it is none of NIfTI or FreeSurfer.

    Args:
        first: The first 544 bytes of the unpacked file, or all of a shorter one.
    """
    if first[:4] == MGH and len(first) >= MGH_VOXELS:
        *lengths, voxel = struct.unpack_from(">5i", first, 4)
        return (
            None if min(lengths) < 0 or voxel not in MGH_BYTES else MGH_VOXELS + math.prod(lengths) * MGH_BYTES[voxel]
        )
    for order in "<>":
        (size,) = struct.unpack_from(f"{order}i", first) if len(first) >= 4 else (0,)
        if size in LAYOUTS and len(first) >= size:
            dim, dims, bitpix, offset, kind = LAYOUTS[size]
            shape = struct.unpack_from(order + dims, first, dim)
            (bits,) = struct.unpack_from(f"{order}h", first, bitpix)
            (start,) = struct.unpack_from(order + kind, first, offset)
            axes = shape[1 : 1 + max(0, min(shape[0], 7))]
            if not math.isfinite(start) or bits < 0 or any(n < 0 for n in axes):
                return None
            return max(int(start), 0) + math.prod(axes) * bits // 8
    return None


def _gunzipped(data: bytes, most: int, spare: int | None = None) -> bytes:
    """At most so many bytes of a gzip file, which may hold several members.

    Args:
        data: The file.
        most: Bytes to return.
        spare: Bytes that may follow them before the checksum, which is then compared; None looks no further.
    """
    parts, left = [], most
    while left > 0 and data[:2] == GZIP:
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        parts.append(member.decompress(data, left))
        left -= len(parts[-1])
        if not member.eof and left > 0:
            raise EOFError("the gzip stream ends before its end mark")
        while spare is not None and not member.eof:  # a damaged stream may go on where the voxels should end
            dropped = member.decompress(b"", BLOCK)
            spare -= len(dropped)
            if spare < 0 or (not dropped and not member.eof):
                raise EOFError("the gzip stream does not end where the voxels do")
        data = member.unused_data
    return b"".join(parts)
