"""What several networks, or one in several mirrorings, say of one case: the mean, and how far they agree."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from brats_unet.data.prepare.grid import Grid
from brats_unet.data.prepare.preprocess import Preparation, Prepared


class Member(Protocol):
    """A network of an ensemble; see `network.Network`."""

    @property
    def preparation(self) -> Preparation:
        """Of the scans that it takes."""

    def members(self, image: np.ndarray) -> Iterator[np.ndarray]:
        """Region probabilities (X, Y, Z, R) of a prepared image, one array for each mirroring."""


@dataclass(frozen=True)
class Share:
    """What the networks that take one preparation say, on its grid.

    Attributes:
        weight: Their share of the networks.
        mean: Mean region probabilities, float32 (X, Y, Z, R).
        votes: How many of the predictions are one half or more, float32 (X, Y, Z, R); None for a single one in all.
        grid: The way back.
    """

    weight: float
    mean: np.ndarray
    votes: np.ndarray | None
    grid: Grid


@dataclass(frozen=True)
class EnsemblePrediction:
    """All that an ensemble says of a case, by preparation; `members` counts networks times mirrorings."""

    shares: tuple[Share, ...]
    members: int

    def probabilities(self) -> np.ndarray:
        """Mean over the networks, float32 (X, Y, Z, R), on the case's own grid; 0 outside the box around the brain."""
        total: np.ndarray | None = None
        for share in self.shares:
            found = share.grid.to_case(share.mean)
            if len(self.shares) > 1:
                found = found * np.float32(share.weight)
            total = found if total is None else total + found
        assert total is not None
        return total

    def agreement(self) -> np.ndarray | None:
        """Of each region, how alike the single predictions are: the Dice of two of them, over all pairs.

        Returns:
            float64 (R,), from 0 to 1, NaN where none finds the region; None where there is a single prediction.
        """
        if self.members < 2:
            return None
        votes: np.ndarray | None = None
        for share in self.shares:
            assert share.votes is not None
            found = share.votes if len(self.shares) == 1 else share.grid.to_case(share.votes)
            votes = found if votes is None else votes + found
        assert votes is not None
        return pairwise_dice(votes, self.members)


def pairwise_dice(votes: np.ndarray, members: int) -> np.ndarray:
    """2 |A and B| / (|A| + |B|), both summed over all pairs of `members` masks, from their votes alone.

    Args:
        votes: How many masks hold each voxel, (X, Y, Z, R).
        members: Of them, 2 or more.

    Returns:
        float64 (R,), NaN where no mask holds a voxel.
    """
    votes = votes.reshape(-1, votes.shape[-1])
    single = votes.sum(axis=0, dtype=np.float64)
    both = (votes * np.maximum(votes - 1, 0)).sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return both / (single * (members - 1))


def predict_ensemble(networks: Sequence[Member], prepared: Mapping[Preparation, Prepared]) -> EnsemblePrediction:
    """What the networks say; each counts the same, and so does each mirroring of one.

    Args:
        networks: One or more.
        prepared: The case, prepared as each of them wants it.
    """
    alike: dict[Preparation, list[Member]] = {}
    for network in networks:
        alike.setdefault(network.preparation, []).append(network)
    shares = []
    members = 0
    for preparation, group in alike.items():
        seen = prepared[preparation]
        mean: np.ndarray | None = None
        votes: np.ndarray | None = None
        for network in group:
            own: np.ndarray | None = None
            count = 0
            for probabilities in network.members(seen.image):
                count += 1
                own = _added(own, probabilities)
                votes = _added(votes, (probabilities >= 0.5).astype(np.float32))
            assert own is not None
            members += count
            if count > 1:
                own /= count
            mean = _added(mean, own)
        assert mean is not None and votes is not None
        if len(group) > 1:
            mean /= len(group)
        shares.append((len(group) / len(networks), mean, votes, seen.grid))
    return EnsemblePrediction(tuple(Share(w, m, v if members > 1 else None, g) for w, m, v, g in shares), members)


def _added(total: np.ndarray | None, more: np.ndarray) -> np.ndarray:
    if total is None:
        return np.array(more, np.float32)  # a copy of its own, to be added to
    total += more
    return total
