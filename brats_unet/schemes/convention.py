"""A label convention: which integers of a mask file stand for which labels of a scheme."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from brats_unet.errors import DataError
from brats_unet.schemes.scheme import BACKGROUND, Scheme

UNKNOWN = 255  # no label's value


@dataclass(frozen=True)
class Convention:
    """The meaning of each integer in a mask.

    Attributes:
        name: Key of `Scheme.integers`, as given in the setting `data.labels`.
        scheme: The scheme that it belongs to.
        why: Human-readable reason why this convention was chosen; "" before one is chosen.
    """

    name: str
    scheme: Scheme
    why: str = ""

    @cached_property
    def to_label(self) -> dict[int, int]:
        """Label (its integer in memory) of each integer that may occur in a file."""
        found = {0: BACKGROUND}
        for label, integers in self.scheme.integers[self.name].items():
            found |= dict.fromkeys(integers, self.scheme.labels[label].value)
        return dict(sorted(found.items()))

    @cached_property
    def without_region(self) -> tuple[int, ...]:
        """The integers whose labels lie in no predicted or scored region; without that of the background."""
        inside = {
            value for region in (*self.scheme.predicted, *self.scheme.scored) for value in self.scheme.values(region)
        }
        return tuple(one for one, label in self.to_label.items() if label != BACKGROUND and label not in inside)

    def decode(self, integers: np.ndarray, *, where: str) -> np.ndarray:
        """The labels of a mask that follows this convention.

        Args:
            integers: Integers of the mask as on disk, any integer type, any shape; may be empty.
            where: Case and file, which begin the error message.

        Returns:
            Labels as in memory, uint8, same shape.

        Raises:
            DataError: The mask holds an integer that this convention does not define.
        """
        if integers.size == 0:
            return np.zeros(integers.shape, np.uint8)
        table = np.full(256, UNKNOWN, np.uint8)
        table[list(self.to_label)] = list(self.to_label.values())
        outside = integers.min() < 0 or integers.max() > 255
        labels = np.full(integers.shape, UNKNOWN, np.uint8) if outside else table[integers]
        if outside or (labels == UNKNOWN).any():
            known = set(self.to_label)
            wrong = {
                int(value): int(count) for value, count in zip(*np.unique(integers, return_counts=True), strict=True)
            }
            listed = ", ".join(f"{value} ({count:,} voxels)" for value, count in wrong.items() if value not in known)
            raise DataError(
                f"{where}: holds label {listed}. The {self.name} convention allows {numbers(known)}. Correct the "
                f"mask, or choose another convention with data.labels=…."
            )
        return labels

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """The inverse of `decode`.

        Args:
            labels: Labels as in memory, any integer type, any shape.

        Returns:
            Integers as this convention writes them, uint8, same shape; the lowest if several mean the same label.

        Raises:
            ValueError: This convention has no integer for a label.
        """
        table = np.full(256, UNKNOWN, np.uint8)
        integers_of: dict[int, int] = {}
        for integer, label in self.to_label.items():
            integers_of.setdefault(label, integer)
        table[list(integers_of)] = list(integers_of.values())
        integers = table[labels]
        without = {int(value) for value in np.unique(labels)} - set(integers_of)
        if without:
            raise ValueError(f"The {self.name} convention has no integer for label {numbers(without)}.")
        return integers


def conventions(scheme: Scheme) -> dict[str, Convention]:
    """The label conventions of a scheme, by name."""
    return {name: Convention(name, scheme) for name in scheme.integers}


def numbers(integers: Iterable[int] | Mapping[int, object]) -> str:
    """Integers in rising order, with spaces between them."""
    return " ".join(str(value) for value in sorted(integers))
