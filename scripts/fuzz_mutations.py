"""Damage to files, drawn from a random generator: of bytes, of values in JSON, YAML and CSV, and of binary headers."""

import copy
import functools
import gzip
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import yaml

from brats_unet.json_files import SEAL

Damage = Callable[[bytes, random.Random], bytes]
ROGUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7, 0.5, -0.0, 1e308, float("inf"), float("nan"), 10**30, -(10**30), 10**400),
    *("", "x", "\0", "\ud800", "/../..", "1", "null", "nan", "α" * 300, "9" * 5000, "=1+1", "{data.root}/x"),
    *(
        [],
        [[]],
        [1, 2],
        [None],
        ["a", "a"],
        {},
        {"a": 1},
        {"": {}},
        [0] * 2000,
        functools.reduce(lambda v, _: [v], range(60), 1),
    ),
)
WHOLE = (0, 1, -1, 2, 3, 5, 7, 8, 127, -128, 255, 32767, -32768, 2**31 - 1, -(2**31), 2**62)
REALS = (0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, 352.5, 1e18, float("inf"), float("-inf"), float("nan"))
# Offset and type of fields of a NIfTI-1 header, of NIfTI-2, and of FreeSurfer's (big-endian).
NIFTI_1 = (
    *[(40 + 2 * i, "h") for i in range(8)],
    (0, "i"),
    (70, "h"),
    (72, "h"),
    (108, "f"),
    (112, "f"),
    (116, "f"),
    (123, "b"),
    *[(76 + 4 * i, "f") for i in range(8)],
    (252, "h"),
    (254, "h"),
    *[(256 + 4 * i, "f") for i in range(18)],
    (344, "i"),
    (348, "i"),
)
NIFTI_2 = (
    (0, "i"),
    (12, "h"),
    (14, "h"),
    *[(16 + 8 * i, "q") for i in range(8)],
    *[(104 + 8 * i, "d") for i in range(8)],
    (168, "q"),
    (176, "d"),
    (184, "d"),
    (344, "i"),
    (348, "i"),
    *[(352 + 8 * i, "d") for i in range(18)],
    (500, "i"),
    (540, "i"),
)
MGH = ((0, "i"), *[(4 + 4 * i, "i") for i in range(6)], (28, "h"), *[(30 + 4 * i, "f") for i in range(15)])
MIB = 2**20


def of_bytes(data: bytes, draw: random.Random) -> bytes:
    """One to four changes at random places."""
    found = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at, width = draw.randrange(len(found) + 1), draw.choice((1, 2, 4, 8, 64))
        match draw.randrange(7):
            case 0:
                if found:
                    found[at % len(found)] ^= 1 << draw.randrange(8)
            case 1:
                del found[at:]
            case 2:
                found[at:at] = draw.randbytes(width)
            case 3:
                del found[at : at + width]
            case 4:
                found[at : at + width] = draw.choice((b"\0", b"\xff", b"[", b'"')) * width
            case 5:
                other = draw.randrange(len(found) + 1)
                found[at : at + width] = found[other : other + width]
            case 6:
                found[at : at + 4] = struct.pack(
                    draw.choice(("<i", ">i")), draw.choice([w for w in WHOLE if abs(w) <= 2**31 - 1])
                )
    return bytes(found)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value in nested plain containers."""
    found, waiting = [], [value]
    while waiting:
        one = waiting.pop()
        items = list(one.items()) if isinstance(one, dict) else list(enumerate(one)) if isinstance(one, list) else []
        found += [(one, key) for key, _ in items]
        waiting += [inner for _, inner in items]
    return found


def of_values(value: Any, draw: random.Random) -> Any:
    """One to three values replaced, taken away, renamed, moved or doubled."""
    value = copy.deepcopy(value)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        places = _places(value)
        if not places or draw.random() < 0.02:
            return copy.deepcopy(draw.choice(ROGUES))
        container, key = draw.choice(places)
        match draw.randrange(6):
            case 0 | 1 | 2:
                container[key] = copy.deepcopy(draw.choice(ROGUES))
            case 3:
                del container[key]
            case 4:
                other, name = draw.choice(places)
                if name in other if isinstance(other, dict) else name < len(other):
                    container[key] = copy.deepcopy(other[name])
            case 5 if isinstance(container, dict):
                container[f"{key}x"] = container.pop(key)
            case 5:
                container.append(copy.deepcopy(container[key]))
    return value


def of_json(data: bytes, draw: random.Random) -> bytes:
    """A damaged JSON document; mostly without its hash, which would be all that a reader looks at."""
    if draw.random() < 0.9:
        data = _unsealed(data)
    if draw.random() < 0.25:
        return _of_text(data, draw)
    text = json.dumps(of_values(json.loads(data), draw))
    return text.encode()


def _unsealed(data: bytes) -> bytes:
    content = json.loads(data)
    if not isinstance(content, dict) or SEAL not in content:
        return data
    return json.dumps({key: value for key, value in content.items() if key != SEAL}, indent=2).encode()


def of_lines(data: bytes, draw: random.Random) -> bytes:
    """A file of JSON lines with one damaged."""
    lines = data.splitlines()
    at = draw.randrange(len(lines))
    lines[at] = of_json(lines[at], draw)
    return b"\n".join(lines) + draw.choice((b"\n", b""))


def _of_text(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data) + 1)
    marks = (
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 900 + b"]" * 900,
        b"\xff\xfe",
        b"\xe4",
        b"\0",
        b"NaN",
        b"-Infinity",
    )
    match draw.randrange(5):
        case 0:
            return draw.choice(
                (
                    b"",
                    b"\xef\xbb\xbf",
                    b"null",
                    b"[]",
                    b"3",
                    b'"a"',
                    *marks,
                    b"1" * 5000,
                    data.decode().encode("utf-16"),
                )
            )
        case 1:
            return data[:at] + draw.choice(marks) + data[at:]
        case 2:
            return b"\xef\xbb\xbf" + data
        case _:
            return of_bytes(data, draw)


def of_yaml(data: bytes, draw: random.Random) -> bytes:
    laughs = b"a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 10)
    )
    marks = (
        *(laughs, b"seed: !!python/object/apply:os.getcwd []\n", b"a: &a [*a]\n", b"when: 2020-13-45\n", b"\tb: 1\n"),
        *(b"? [a]\n: 1\n", b"? {a: b}\n: 1\n", b"<<: 3\n", b"a: !!float x\n", b"a: !!binary '*'\n", b"a: *none\n"),
        *(b"--- 1\n--- 2\n", b"%YAML 9.9\n---\n", b"a: 0x\n", b"a: 190:20:30\n", b"a: !!int 09\n", b"a: !!set {x}\n"),
        *(b"a: !!timestamp x\n", b"1: 2\n", b"null: 1\n", b"x: ${x}\n", b"x: ${oc.env:HOME}\n", b"a: !!int ''\n"),
    )
    if draw.random() < 0.2:
        lines = data.splitlines(keepends=True)
        lines.insert(draw.randrange(len(lines) + 1), draw.choice(marks))
        return b"".join(lines)
    if draw.random() < 0.3:
        return _of_text(data, draw)
    remarks = b"".join(line for line in data.splitlines(keepends=True) if line.startswith(b"#"))
    found = of_values(yaml.safe_load(data), draw)
    try:
        return remarks + yaml.safe_dump(found, allow_unicode=True, sort_keys=False).encode()
    except UnicodeEncodeError:  # half of a pair
        return json.dumps(found).encode()


def of_csv(data: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.25:
        return _of_text(data, draw)
    rows = [line.split(",") for line in data.decode().splitlines()]
    for _ in range(draw.choice((1, 1, 2))):
        row = draw.choice(rows) if rows and draw.random() < 0.8 else rows[0] if rows else [""]
        at = draw.randrange(len(row) + 1)
        rogue = draw.choice(
            ("", "x", "nan", "inf", "-1", "1e400", '"', '"a', "'=1", "\0", "ä", "1,2", "\r", "a" * 200_000, "１")
        )
        match draw.randrange(7):
            case 0 | 1 | 2:
                row[at : at + 1] = [rogue]
            case 3:
                row[at:at] = [rogue]
            case 4:
                del row[at : at + draw.randint(1, 9)]
            case 5:
                rows.insert(draw.randrange(len(rows) + 1), list(row))
            case 6:
                rows.remove(row) if row in rows else None
    text = draw.choice((",", ",", ",", ";", "\t")).join(["\0"]).replace("\0", "") + "\n".join(
        ",".join(row) for row in rows
    )
    return text.encode(draw.choice(("utf-8", "utf-8", "utf-8", "latin-1", "utf-16")), "replace")


@functools.cache
def zeros() -> bytes:
    """256 MiB of zeros, packed."""
    return gzip.compress(bytes(256 * MIB), 9)


def of_nifti(data: bytes, draw: random.Random) -> bytes:
    """A damaged scan: header fields, its bytes, or a stream that is longer or shorter than the header says."""
    packed = data[:2] == b"\x1f\x8b"
    if draw.random() < 0.2:
        return of_bytes(data, draw)
    plain = bytearray(gzip.decompress(data) if packed else data)
    mgh = plain[:4] == b"\0\0\0\1"
    fields = MGH if mgh else NIFTI_2 if plain[:4] == struct.pack("<i", 540) else NIFTI_1
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        at, kind = draw.choice(fields)
        size = struct.calcsize(kind)
        most = 2 ** (8 * size - 1) - 1
        value = draw.choice(REALS) if kind in "fd" else draw.choice([w for w in WHOLE if -most - 1 <= w <= most])
        plain[at : at + size] = struct.pack((">" if mgh else "<") + kind, value)
    if draw.random() < 0.15:
        plain = bytearray(of_bytes(bytes(plain), draw))
    if draw.random() < 0.1:
        del plain[draw.randrange(len(plain) + 1) :]
    if not packed:
        return bytes(plain)
    found = gzip.compress(bytes(plain), 1, mtime=0)
    match draw.randrange(24):
        case 0:
            found += zeros() * 16  # 4 GiB
        case 1:
            found = zeros() * draw.choice((1, 16))
        case 2:
            found = gzip.compress(bytes(plain[:400])) + zeros() * 16
        case 3:
            found = gzip.compress(found)
        case 4:
            found = found[: draw.randrange(len(found) + 1)]
        case 5:
            found = bytes(plain)  # its name says that it is packed
        case 6:
            found += draw.randbytes(9)
    return found


def of_header_text(data: bytes, draw: random.Random) -> bytes:
    """MetaImage or NRRD: a value of the header replaced."""
    if draw.random() < 0.4:
        return of_bytes(data, draw)
    end = data.find(b"\n\n") if data[:4] == b"NRRD" else data.find(b"LOCAL")
    lines = data[:end].split(b"\n")
    at = draw.randrange(len(lines))
    name, mark, _ = lines[at].partition(b"=" if b"=" in lines[at] else b":")
    value = draw.choice(
        (
            *(b"", b"0", b"-1", b"nan nan nan", b"inf inf inf", b"99999 99999 99999", b"9" * 400, b"LIST", b"True"),
            *(b"a%d.raw 1 9 1", b"../x", b"x" * 70000, b"1 2", b"raw", b"gzip", b"MET_FLOAT", b"1e300 1 1"),
        )
    )
    lines[at] = name + mark + b" " + value
    return b"\n".join(lines) + data[end:]


def of_npy(data: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.4:
        return of_bytes(data, draw)
    start = 10 + int.from_bytes(data[8:10], "little")
    shape = draw.choice(((10**12,), (2**40, 2**40), (-1, 4), (), (0, 0, 0), (4, 4), (1,) * 40, "x", (1.5,), (True,)))
    descr = draw.choice(("<i2", "|O", "<f8", "<c16", "|V8", ">i8", "<M8[s]", "|S4", "<U9", "?", [("a", "<i4")], "q", 3))
    header = draw.choice(({"descr": descr, "fortran_order": False, "shape": shape}, {"descr": descr}, {}))
    text = draw.choice((repr(header), "(" * 5000, "__import__('os')", "{" * 90))
    text = text.encode().ljust(117) + b"\n"
    return (
        data[:6]
        + draw.choice((b"\1\0", b"\2\0", b"\3\0", b"\x09\x09"))
        + len(text).to_bytes(2, "little")
        + text
        + data[start:]
    )


def of_safetensors(data: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.3:
        return of_bytes(data, draw)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    if draw.random() < 0.5:
        header["__metadata__"]["state"] = of_json(header["__metadata__"]["state"].encode(), draw).decode(
            "utf-8", "replace"
        )
    else:
        header = of_values(header, draw)
    text = json.dumps(header).encode()
    return draw.choice((len(text), len(text), 2**60, 0)).to_bytes(8, "little") + text + data[8 + size :]


def of_zip(data: bytes, draw: random.Random) -> bytes:
    """A damaged archive of JSON and HDF5, or of arrays: of its bytes, or of one of its files."""
    if draw.random() < 0.3:
        return of_bytes(data, draw)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw.choice(list(members))
    match draw.randrange(8):
        case 0:
            del members[name]
        case 1:
            members[draw.choice(("../x", "/x", "a" * 300, "ä", name + "x"))] = b"x"
        case 2:
            members[name] = bytes(64 * MIB)
        case _:
            kinds = {"json": of_json, ".npy": of_npy}
            members[name] = kinds.get(name[-4:], of_bytes)(members[name], draw)
    found = io.BytesIO()
    with zipfile.ZipFile(
        found, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    ) as archive:
        for member, content in members.items():
            archive.writestr(zipfile.ZipInfo(member), content)
    return found.getvalue()


DAMAGES: dict[str, Damage] = {
    "bytes": of_bytes,
    "json": of_json,
    "lines": of_lines,
    "yaml": of_yaml,
    "csv": of_csv,
    "nifti": of_nifti,
    "header": of_header_text,
    "npy": of_npy,
    "safetensors": of_safetensors,
    "zip": of_zip,
}
