"""A scheme: labels, the regions that are predicted and scored, and the arithmetic between them. Plain NumPy."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from brats_unet.schemes.region import Region, Tissue

BACKGROUND = 0  # the label of a voxel in no tissue, in every scheme
PROTOCOL_NAMES = ("brats2020", "brats2023", "brats2026", "nnunet", "seed")  # what they are: metrics.protocols


@dataclass(frozen=True)
class Scheme:
    """What is segmented. Made by `scheme_file.scheme_of`, which checks it.

    Attributes:
        name: Its name.
        source: Where its labels and regions are defined.
        labels: All labels, by name.
        regions: All regions, by name.
        predicted: Names of the regions that a network with sigmoids predicts, in channel order. A region comes before
            those that lie inside it.
        classes: Names of the labels that a network with a softmax predicts, in channel order after the background:
            those in at least one predicted region.
        scored: Names of the regions that are scored.
        small_total: Names of the predicted regions that post-processing may remove where their total volume is small.
        integers: By label convention, the integers of each label in files.
        protocol: One of `PROTOCOL_NAMES`: how masks are scored unless the user sets another.
    """

    name: str
    source: str
    labels: Mapping[str, Tissue]
    regions: Mapping[str, Region]
    predicted: tuple[str, ...]
    classes: tuple[str, ...]
    scored: tuple[str, ...]
    small_total: tuple[str, ...]
    integers: Mapping[str, Mapping[str, tuple[int, ...]]]
    protocol: str = PROTOCOL_NAMES[0]

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON; `scheme_file.scheme_of` is the inverse."""
        plain = asdict(self)
        for section in ("labels", "regions"):
            for one in plain[section].values():
                del one["name"]
        plain["integers"] = {
            name: {label: values if len(values) > 1 else values[0] for label, values in table.items()}
            for name, table in self.integers.items()
        }
        return _lists(plain)

    def values(self, region: str) -> tuple[int, ...]:
        """The labels of a region, as the integers that stand for them in memory."""
        return tuple(self.labels[name].value for name in self.regions[region].labels)

    def words_of(self, value: int) -> str:
        """A label in words, by the integer that stands for it in memory."""
        return "background" if value == BACKGROUND else self._by_value[value].words

    @cached_property
    def class_values(self) -> tuple[int, ...]:
        """The softmax channels, as the integers that stand for them in memory; the background comes first."""
        return (BACKGROUND, *(self.labels[name].value for name in self.classes))

    @cached_property
    def regions_of_classes(self) -> np.ndarray:
        """Which class (row) belongs to which predicted region (column): 0 or 1, float32."""
        rows = [[value in self.values(region) for region in self.predicted] for value in self.class_values]
        return np.array(rows, np.float32)

    @cached_property
    def is_tree(self) -> bool:
        """Whether any two predicted regions are nested or disjoint, so that they determine class probabilities."""
        sets = [set(self.regions[name].labels) for name in self.predicted]
        return all(one <= other or one >= other or not one & other for one in sets for other in sets)

    @property
    def meaning(self) -> dict[str, Any]:
        """What a network, a mask and a score depend on, without words and colours, to compare two schemes."""
        return {
            "name": self.name,
            "labels": {name: tissue.value for name, tissue in self.labels.items()},
            "regions": {name: sorted(self.regions[name].labels) for name in (*self.predicted, *self.scored)},
            "predicted": list(self.predicted),
            "classes": list(self.classes),
            "scored": list(self.scored),
        }

    def of_channels(self, outputs: str) -> dict[str, tuple[int, ...]]:
        """The labels that each channel of a network stands for, by the name of its region or ("labels") its class."""
        if outputs == "regions":
            return {name: self.values(name) for name in self.predicted}
        return {"background": (BACKGROUND,), **{name: (self.labels[name].value,) for name in self.classes}}

    def around(self, region: str) -> tuple[str, ...]:
        """The predicted regions that contain a region, without itself; outermost first."""
        inner = set(self.regions[region].labels)
        return tuple(name for name in self.predicted if name != region and inner < set(self.regions[name].labels))

    def own_label(self, region: str) -> int:
        """The first label of a predicted region that lies in no region inside it; its first label if all do."""
        inside = {value for name in self.predicted if region in self.around(name) for value in self.values(name)}
        return next((value for value in self.values(region) if value not in inside), self.values(region)[0])

    def most_alike(self, label: int, others: Collection[int]) -> int:
        """Of other labels, as in memory, the one whose predicted regions differ least from those of a label."""
        regions = {value: {name for name in self.predicted if value in self.values(name)} for value in (label, *others)}
        return min(others, key=lambda value: (len(regions[value] ^ regions[label]), value))

    def region_mask(self, labels: np.ndarray, region: str) -> np.ndarray:
        """Mask of one region, bool, in the shape of `labels`; all False if the region is absent."""
        return self._in_region[region][labels.astype(np.uint8, copy=False)]

    def masks(self, labels: np.ndarray, regions: Sequence[str]) -> np.ndarray:
        """Masks of regions stacked on a new last axis, bool, shape (*labels.shape, len(regions))."""
        return np.stack([self.region_mask(labels, region) for region in regions], axis=-1)

    def predicted_masks(self, labels: np.ndarray) -> np.ndarray:
        """Masks of the predicted regions stacked on a new last axis, bool, shape (*labels.shape, R)."""
        return self.masks(labels, self.predicted)

    def labels_from_masks(self, masks: np.ndarray) -> np.ndarray:
        """Labels from masks of the predicted regions.

        A voxel in a region counts as in those around it. Of the labels in the last region that contains it, it takes
        the one whose regions agree best with its own; of several, the first. Where regions are nested, this is the
        tissue of the innermost one. Masks that come from labels give these labels back, also where regions overlap.

        Args:
            masks: bool, shape (..., R). Any combination is allowed: for glioma, a voxel in ET but not in WT becomes
                enhancing tumour.

        Returns:
            uint8 labels of shape masks.shape[:-1].
        """
        code = np.zeros(masks.shape[:-1], np.uint8)
        for index in range(len(self.predicted)):
            code |= masks[..., index].view(np.uint8) << np.uint8(index)
        return self._label_of_code[code]

    def regions_from_classes(self, probabilities: Any) -> Any:
        """Probabilities of the predicted regions (..., R): sums of class probabilities (..., C), NumPy or Keras."""
        return probabilities @ self.regions_of_classes

    def classes_from_regions(self, probabilities: np.ndarray) -> np.ndarray:
        """The inverse of `regions_from_classes`, (..., C) from (..., R); exact if the regions came from a softmax.

        The probability of a label is that of the smallest predicted region that holds it, less those of the largest
        regions inside that one; that of the background is 1 less those of the outermost regions.

        Raises:
            ValueError: Predicted regions overlap without being nested, so they do not determine the classes.
        """
        if not self.is_tree:
            raise ValueError(
                f"The predicted regions of {self.name} overlap: they do not determine class probabilities."
            )
        channel = {name: probabilities[..., index] for index, name in enumerate(self.predicted)}
        parent = {name: (self.around(name) or ("",))[-1] for name in self.predicted}
        shares = []
        for value in self.class_values:
            home = next((name for name in reversed(self.predicted) if value in self.values(name)), "")
            share = channel[home] if home else 1
            for name in self.predicted:
                if parent[name] == home:
                    share = share - channel[name]
            shares.append(share)
        return np.stack(shares, axis=-1)

    def scored_probabilities(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities of the scored regions (..., S), from those of the predicted ones (..., R).

        A region that is predicted keeps its channel. The probability of another is the sum of those of its labels, see
        `classes_from_regions`, cut to 0 and 1.
        """
        if self.scored == self.predicted:
            return probabilities
        parts = []
        for name in self.scored:
            if name in self.predicted:
                parts.append(probabilities[..., self.predicted.index(name)])
                continue
            classes = self.classes_from_regions(probabilities)
            wanted = [index for index, value in enumerate(self.class_values) if value in self.values(name)]
            parts.append(np.clip(sum(classes[..., index] for index in wanted), 0, 1))
        return np.stack(parts, axis=-1)

    def means_the_same(self, other: "Scheme") -> bool:
        """Whether masks and probabilities of one serve the other: the same labels, regions and predicted regions."""
        return all(self.meaning[key] == other.meaning[key] for key in ("labels", "regions", "predicted"))

    @cached_property
    def _by_value(self) -> dict[int, Tissue]:
        return {tissue.value: tissue for tissue in self.labels.values()}

    @cached_property
    def _in_region(self) -> dict[str, np.ndarray]:
        tables = {}
        for region in self.regions:
            tables[region] = np.zeros(256, bool)
            tables[region][list(self.values(region))] = True
        return tables

    @cached_property
    def _label_of_code(self) -> np.ndarray:
        """Label of each combination of predicted regions; bit i of the index is region i."""
        regions_of = {
            value: sum((value in self.values(name)) << i for i, name in enumerate(self.predicted))
            for value in self.class_values[1:]
        }
        with_around = [
            sum(1 << self.predicted.index(one) for one in (name, *self.around(name))) for name in self.predicted
        ]
        table = np.zeros(2 ** len(self.predicted), np.uint8)
        for combination in range(1, len(table)):
            code = 0
            for i, regions in enumerate(with_around):
                code |= regions if combination >> i & 1 else 0
            last = code.bit_length() - 1
            inside = [value for value, regions in regions_of.items() if regions >> last & 1]
            table[combination] = min(inside, key=lambda value: (regions_of[value] ^ code).bit_count())
        return table


def _lists(plain: Any) -> Any:
    if isinstance(plain, Mapping):
        return {key: _lists(value) for key, value in plain.items()}
    return [_lists(one) for one in plain] if isinstance(plain, tuple) else plain
