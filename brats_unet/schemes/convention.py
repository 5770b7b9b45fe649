"""A label convention: which integers of a mask file stand for which labels of a scheme."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import numpy as np

from brats_unet.errors import DataError
from brats_unet.mask_channels import FIRST_CODE, MOST, codes, nested
from brats_unet.schemes.scheme import BACKGROUND, Scheme

UNKNOWN = 255  # no label's value
JOIN = "+"  # between the names of channels
BACKGROUND_NAME = "background"


@dataclass(frozen=True)
class Convention:
    """The meaning of each integer in a mask.

    Attributes:
        name: Key of `Scheme.integers`, as given in the setting `data.labels`; or, of masks with channels, what each
            channel shows: predicted regions or labels, joined by "+", such as "ET+TC+WT".
        scheme: The scheme that it belongs to.
        why: Human-readable reason why this convention was chosen; "" before one is chosen.
    """

    name: str
    scheme: Scheme
    why: str = ""

    @property
    def channels(self) -> tuple[str, ...]:
        """The regions or labels of the channels; () for masks of one integer a voxel."""
        return tuple(self.name.split(JOIN)) if JOIN in self.name else ()

    @property
    def written(self) -> "Convention":
        """The convention in which masks are written: this one, or of masks with channels the scheme's first."""
        return next(iter(conventions(self.scheme).values())) if self.channels else self

    @cached_property
    def to_label(self) -> dict[int, int]:
        """Label (its integer in memory) of each integer that may occur in a file; see `mask_channels.packed`."""
        if self.channels:
            return {0: BACKGROUND} | _labels_of_codes(self.scheme, self.channels)
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
        table = np.full(FIRST_CODE + 2**MOST, UNKNOWN, np.uint8)
        table[list(self.to_label)] = list(self.to_label.values())
        outside = integers.min() < 0 or integers.max() >= len(table)
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

        A label that a network predicts but this convention has no integer for is written as the label that lies in the
        most like regions: a cyst as non-enhancing core in BraTS-PED 2023.

        Args:
            labels: Labels as in memory, any integer type, any shape.

        Returns:
            Integers as `written` writes them, uint8, same shape; the lowest if several mean the same label.

        Raises:
            ValueError: This convention has no integer for a label that no network predicts.
        """
        if self.channels:
            return self.written.encode(labels)
        table = np.full(256, UNKNOWN, np.uint8)
        integers_of: dict[int, int] = {}
        for integer, label in self.to_label.items():
            integers_of.setdefault(label, integer)
        for label in self.scheme.class_values:
            if label not in integers_of:
                integers_of[label] = integers_of[self.scheme.most_alike(label, set(integers_of) - {BACKGROUND})]
        table[list(integers_of)] = list(integers_of.values())
        integers = table[labels]
        without = {int(value) for value in np.unique(labels)} - set(integers_of)
        if without:
            raise ValueError(f"The {self.name} convention has no integer for label {numbers(without)}.")
        return integers

    def integers_of_regions(self) -> dict[str, int]:
        """The integer for every combination of predicted regions, such as "R1+R3"; "" is the background."""
        predicted = self.scheme.predicted
        masks = np.array(list(product((False, True), repeat=len(predicted))))
        integers = self.encode(self.scheme.labels_from_masks(masks))
        names = ["+".join(name for name, inside in zip(predicted, mask, strict=True) if inside) for mask in masks]
        return {name: int(integer) for name, integer in zip(names, integers, strict=True)}


def convention_named(scheme: Scheme, name: str) -> Convention | None:
    """The convention of a name; None if the scheme has none of this name, nor regions or labels as it names them."""
    channels = name.split(JOIN)
    if len(channels) > 1:
        several = len(set(channels)) == len(channels) <= MOST
        known = set(channels) <= set(scheme.predicted) or set(channels) <= {BACKGROUND_NAME, *scheme.classes}
        return Convention(name, scheme) if several and known else None
    return conventions(scheme).get(name)


def channels_shown(scheme: Scheme, integers: frozenset[int]) -> Convention | None:
    """The convention of masks with channels whose nesting is that of the predicted regions; None if it shows no order.

    Args:
        scheme: What is segmented.
        integers: All integers of the masks, see `mask_channels.packed`.
    """
    order = nested(codes(integers))
    names = list(scheme.predicted)
    chain = all(outer in scheme.around(inner) for outer, inner in pairwise(names))
    if not chain or len(order) != len(names):
        return None
    by_channel = sorted(zip(order, names, strict=True))
    if [channel for channel, _ in by_channel] != list(range(len(names))):
        return None
    return Convention(JOIN.join(name for _, name in by_channel), scheme, "each channel lies in the one around it")


def _labels_of_codes(scheme: Scheme, channels: tuple[str, ...]) -> dict[int, int]:
    """Label of each combination of channels, by its integer; of labels, only one channel may be 1."""
    if set(channels) <= set(scheme.predicted):
        every = np.arange(1, 2 ** len(channels))
        masks = np.zeros((len(every), len(scheme.predicted)), bool)
        for bit, name in enumerate(channels):
            masks[:, scheme.predicted.index(name)] = every >> bit & 1
        return dict(zip((every + FIRST_CODE).tolist(), scheme.labels_from_masks(masks).tolist(), strict=True))
    values = {BACKGROUND_NAME: BACKGROUND} | {name: scheme.labels[name].value for name in scheme.classes}
    return {FIRST_CODE + (1 << bit): values[name] for bit, name in enumerate(channels)}


def conventions(scheme: Scheme) -> dict[str, Convention]:
    """The label conventions of a scheme, by name."""
    return {name: Convention(name, scheme) for name in scheme.integers}


def numbers(integers: Iterable[int] | Mapping[int, object]) -> str:
    """Integers in rising order, with spaces between them."""
    return " ".join(str(value) for value in sorted(integers))
