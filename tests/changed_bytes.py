"""Copies of a file's content, each with another byte changed."""

from collections.abc import Iterator


def each_byte_changed(content: bytes, first: int = 0, mask: int | None = None) -> Iterator[bytes]:
    """The content with one byte changed, for each byte from the first on.

    Args:
        content: The content.
        first: Index of the first byte to change.
        mask: The bits to change; None changes one bit, another one from byte to byte.
    """
    for place in range(first, len(content)):
        changed = content[place] ^ (1 << place % 8 if mask is None else mask)
        yield content[:place] + bytes([changed]) + content[place + 1 :]
