"""The files that an ONNX file reads its weights from (`external_data`), found without the package onnx.

onnxruntime opens these files when it loads the network. They are checked before, with a reader of the few Protocol
Buffers fields that lead to them; numbers and names of the fields are those of onnx.proto.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from brats_unet.inference.named_files import file_in

# Kind of message -> field number -> kind of message in that field. Only fields that lead to tensors.
FIELDS = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "StringStringEntry"},
}
ENTRY = "StringStringEntry"
KEY, VALUE = 1, 2  # fields of an entry
VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5  # wire types
LOCATION = b"location"


def refuse_foreign_weights(file: Path) -> None:
    """Refuse an ONNX file that reads weights from outside its own folder.

    Raises:
        CheckpointError: A location is a path, or the name of a link to another folder.
        ValueError: The file is not an ONNX file.
        OSError: The file cannot be read.
    """
    for location in locations(file):
        file_in(file.parent, location, named_by=file)


def locations(file: Path) -> set[str]:
    """Every location of external data in an ONNX file; empty if it holds all of its weights itself.

    Raises:
        ValueError: The file is not an ONNX file.
        OSError: The file cannot be read.
    """
    found = set()
    with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        waiting = [("Model", 0, len(data))]
        while waiting:
            kind, start, stop = waiting.pop()
            if kind == ENTRY:
                fields = [(number, data[first:last]) for number, first, last in _lengths(data, start, stop)]
                if (KEY, LOCATION) in fields:
                    found |= {value.decode(errors="replace") for number, value in fields if number == VALUE}
                continue
            leads_to = FIELDS[kind]
            waiting += [
                (leads_to[number], first, last)
                for number, first, last in _lengths(data, start, stop)
                if number in leads_to
            ]
    return found


def _lengths(data: mmap.mmap, at: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """(field number, first byte, end) of each field with a length, in the message from `at` to `stop`."""
    while at < stop:
        tag, at = _varint(data, at, stop)
        number, wire = tag >> 3, tag & 7
        if wire == LENGTH:
            size, at = _varint(data, at, stop)
            if size > stop - at:
                raise ValueError("a field is longer than its message")
            yield number, at, at + size
            at += size
        elif wire == VARINT:
            _, at = _varint(data, at, stop)
        elif wire in (EIGHT_BYTES, FOUR_BYTES):
            at += 8 if wire == EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field has wire type {wire}")
    if at != stop:
        raise ValueError("a field is longer than its message")


def _varint(data: mmap.mmap, at: int, stop: int) -> tuple[int, int]:
    """A number of up to ten bytes with seven bits each, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            raise ValueError("a number is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise ValueError("a number has more than ten bytes")
