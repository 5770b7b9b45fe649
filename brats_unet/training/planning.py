"""Plan patch size, batch size, depth and features from the dataset's shapes and the device memory, as nnU-Net does.

The patch starts as large as the median case. Stages are added while an edge has at least 8 voxels, at first only along
the axes with the finest voxels. While a step of two patches does not fit into memory, the patch edge that is largest
relative to the median case is reduced. Memory that is left is used for a larger batch. Features double at each stage.

Source:
    Isensee et al. 2021, doi:10.1038/s41592-020-01008-z; rules from the code of nnunetv2 (ExperimentPlanner,
    network_topology). Two differences: memory is counted in bytes (`step_memory`), and the batch size has a limit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, prod

from brats_unet.errors import MachineError

Triple = tuple[int, int, int]
MIN_EDGE = 4  # smallest edge of the coarsest feature map, in voxels
MAX_FEATURES = {3: 320, 2: 512}
MAX_PATCH = {3: 256**3, 2: 2048**2}  # largest patch in voxels, even if the cases are larger
MIN_BATCH = 2
DATASET_SHARE = 0.05  # largest share of all voxels of the dataset in one batch


@dataclass(frozen=True)
class Proposal:
    """Planned settings.

    Attributes:
        patch: Patch size along x, y, z, in voxels.
        batch: Patches per update, over all replicas.
        strides: Stride of each stage along x, y, z.
        features: Number of features of each stage.
        bytes: Expected memory of a step on one device.
    """

    patch: Triple
    batch: int
    strides: tuple[Triple, ...]
    features: tuple[int, ...]
    bytes: int


# (patch, patches per device, strides, features) -> bytes.
Cost = Callable[[Triple, int, tuple[Triple, ...], tuple[int, ...]], int]


def pooling(patch: Sequence[int], spacing_mm: Sequence[float], rank: int) -> tuple[Triple, ...]:
    """Strides of the stages after the first.

    An axis is halved if at least 4 voxels remain and its voxels are less than twice as long as the shortest ones. If
    only one axis can be halved, it must have at least 12 voxels.

    Args:
        patch: Patch size on the grid of the first stage, in voxels.
        spacing_mm: Voxel edge lengths on that grid, in millimetres.
        rank: Number of axes, 3 for volumes and 2 for axial slices.

    Returns:
        Strides along x, y, z, each 1 or 2; empty if no axis can be halved.
    """
    size, spacing = list(patch), list(spacing_mm)
    strides = []
    while True:
        divisible = [axis for axis in range(rank) if size[axis] >= 2 * MIN_EDGE]
        if not divisible:
            break
        finest = min(spacing[axis] for axis in divisible)
        axes = [axis for axis in divisible if spacing[axis] / finest < 2]
        if len(axes) == 1 and size[axes[0]] < 3 * MIN_EDGE:
            break
        for axis in axes:
            size[axis], spacing[axis] = ceil(size[axis] / 2), 2 * spacing[axis]
        x, y, z = (2 if axis in axes else 1 for axis in range(3))
        strides.append((x, y, z))
    return tuple(strides)


def propose(
    median_shape: Sequence[int],
    spacing_mm: Sequence[float],
    *,
    rank: int,
    first_stride: Triple,
    first_features: int,
    voxels: float,
    cost: Cost,
    budget_bytes: int,
    largest_batch: int,
    replicas: int = 1,
) -> Proposal:
    """Plan the largest patch, then the largest batch, that fit into memory.

    Args:
        median_shape: Median shape of the prepared cases along x, y, z, in voxels.
        spacing_mm: Voxel edge lengths of the prepared grid along x, y, z, in millimetres.
        rank: 3 for volumes, 2 for axial slices.
        first_stride: Stride of the first stage; above 1 if the network works on a coarser grid.
        first_features: Number of features of the first stage.
        voxels: Number of voxels in all cases together.
        cost: Function that gives the memory of a step on one device.
        budget_bytes: Memory that a step may take on one device.
        largest_batch: Largest number of patches per update.
        replicas: Number of devices that share a batch.

    Raises:
        MachineError: Even the smallest patch does not fit.
    """
    voxel = [s * step for s, step in zip(spacing_mm, first_stride, strict=True)][:rank]
    shape = [ceil(n / step) for n, step in zip(median_shape, first_stride, strict=True)][:rank]
    # Start with a cube in millimetres, limited to the shape of the median case.
    edge = (MAX_PATCH[rank] / prod(first_stride[:rank]) * prod(voxel)) ** (1 / rank)
    patch = [min(round(edge / s), n) for s, n in zip(voxel, shape, strict=True)]

    def rounded_up(wanted: Sequence[int]) -> tuple[list[int], tuple[Triple, ...], list[int]]:
        strides = pooling(wanted, voxel, rank)
        divisor = [prod(stride[axis] for stride in strides) for axis in range(rank)]
        return [ceil(n / d) * d for n, d in zip(wanted, divisor, strict=True)], strides, divisor

    def with_memory(patch: Sequence[int], strides: tuple[Triple, ...], batch: int) -> Proposal:
        full_patch = [n * step for n, step in zip(patch, first_stride, strict=False)] + [1] * (3 - rank)
        stages = (first_stride, *strides)
        features = tuple(min(MAX_FEATURES[rank], first_features * 2**level) for level in range(len(stages)))
        x, y, z = full_patch
        needed = cost((x, y, z), ceil(batch / replicas), stages, features)
        return Proposal((x, y, z), batch, stages, features, needed)

    min_batch = replicas * ceil(min(MIN_BATCH, largest_batch) / replicas)
    patch, strides, divisor = rounded_up(patch)
    proposal = with_memory(patch, strides, min_batch)
    while proposal.bytes > budget_bytes:
        axis = max(range(rank), key=lambda a: (patch[a] / shape[a], a))  # of equal edges the last, as in nnU-Net
        smaller = list(patch)
        # A smaller edge may allow fewer stages; then it only has to shrink by their smaller divisor.
        smaller[axis] -= divisor[axis]
        if smaller[axis] < 2 * MIN_EDGE:
            if min_batch > replicas:
                min_batch -= replicas
                proposal = with_memory(patch, strides, min_batch)
                continue
            raise MachineError(
                f"Even a patch of {'×'.join(map(str, proposal.patch))} voxels takes about "
                f"{proposal.bytes / 2**30:.1f} GiB, but only {budget_bytes / 2**30:.1f} GiB may be used. Increase "
                f"memory_gib=…, or choose a smaller network: model.features=[16,…]."
            )
        divisor = rounded_up(smaller)[2]
        patch[axis] -= divisor[axis]
        patch, strides, divisor = rounded_up(patch)
        proposal = with_memory(patch, strides, min_batch)
    max_batch = max(min_batch, min(largest_batch, int(voxels * DATASET_SHARE / prod(proposal.patch))))
    for batch in range(min_batch + replicas, max_batch + 1, replicas):
        larger = with_memory(patch, strides, batch)
        if larger.bytes > budget_bytes:
            break
        proposal = larger
    return proposal
