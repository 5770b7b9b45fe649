"""What a network does to the shape of a patch, known without building it, so that a wrong patch is refused early."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from brats_unet.errors import SettingsError

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class NetworkShape:
    """Rank, strides and heads of a network.

    Attributes:
        rank: 3 for a network that takes (B, X, Y, Z, M), 2 for one that takes axial slices (B, X, Y, M).
        strides: Stride of each encoder stage along x, y, z: voxels of the stage before per voxel; 1 along z in a 2-D
            network.
        heads: Number of logit maps that the network returns, full resolution first.
        lowest_head: Whether to train the coarsest of several heads too, see `losses.compound.head_weights`.
    """

    rank: int
    strides: tuple[Triple, ...]
    heads: int
    lowest_head: bool = False

    @property
    def stride(self) -> Triple:
        """The number that each edge of a patch must be a multiple of, along x, y, z."""
        return prod(s[0] for s in self.strides), prod(s[1] for s in self.strides), prod(s[2] for s in self.strides)

    def refuse_patch(self, patch: Sequence[int], setting: str = "sampling.patch") -> None:
        """Raise SettingsError, with a patch that fits, unless the network can take `patch` (voxels along x, y, z)."""
        found = "×".join(str(edge) for edge in patch)
        if len(patch) != 3 or min(patch) < 1:
            raise SettingsError(f"{setting} is {found}. Expected three positive numbers of voxels along x, y, z.")
        if self.rank == 2 and patch[2] != 1:
            raise SettingsError(
                f"{setting} is {found}, but the network is 2-D and takes axial slices. "
                f"Set {setting}=[{patch[0]},{patch[1]},1]."
            )
        cells = [max(1, round(edge / step)) for edge, step in zip(patch, self.stride, strict=True)]
        if prod(cells) == 1 and prod(self.stride) > 1:
            # Instance normalisation over a single voxel gives 0 whatever the patch shows.
            cells = [2 if step > 1 else 1 for step in self.stride]
        fitting = [cell * step for cell, step in zip(cells, self.stride, strict=True)]
        if fitting != list(patch):
            raise SettingsError(
                f"{setting} is {found}, but the network shrinks {'×'.join(map(str, self.stride))} voxels to one "
                f"and needs a whole number of them, two or more. Set {setting}=[{','.join(map(str, fitting))}], "
                f"or use fewer stages."
            )


def with_shape(network_shape: Callable[..., NetworkShape]) -> Callable[[Callable], Callable]:
    """Mark a network's builder with a function from its options to a `NetworkShape`; `models.describe` calls it."""

    def mark(builder: Callable) -> Callable:
        builder.__dict__["network_shape"] = network_shape
        return builder

    return mark
