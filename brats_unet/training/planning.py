"""From a dataset's shapes and a device's memory to patch, batch, depth and features, as nnU-Net plans them.

The patch starts as large as the median case. Stages are added while an edge has 8 voxels or more, at first only along
the axes with the finest voxels. While a step of two patches does not fit into memory, the edge that is largest beside
the median case gives way; memory that is left then goes into the batch. Features double from stage to stage.

Source:
    Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, its rules read in nnunetv2 (ExperimentPlanner,
    network_topology). Other than there, memory is counted in bytes (`memory`), and the batch has a limit of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, prod

from brats_unet.errors import MachineError

Triple = tuple[int, int, int]
LEAST_EDGE = 4  # voxels of the coarsest feature map
MOST_FEATURES = {3: 320, 2: 512}
LARGEST_PATCH = {3: 256**3, 2: 2048**2}  # voxels, where the cases are larger still
LEAST_BATCH = 2
DATASET_SHARE = 0.05  # of all voxels that one batch may cover


@dataclass(frozen=True)
class Proposal:
    """What was planned.

    Attributes:
        patch: Voxels along x, y, z.
        batch: Patches an update.
        strides: Of each stage, along x, y, z.
        features: Of each stage.
        bytes: Memory that a step is expected to take.
    """

    patch: Triple
    batch: int
    strides: tuple[Triple, ...]
    features: tuple[int, ...]
    bytes: int


# (patch, patches a device, strides, features) -> bytes.
Cost = Callable[[Triple, int, tuple[Triple, ...], tuple[int, ...]], int]


def pooling(patch: Sequence[int], spacing_mm: Sequence[float], rank: int) -> tuple[Triple, ...]:
    """Strides of the stages after the first, for the grid of the first stage.

    An axis is halved while it leaves 4 voxels or more, and while its voxels are less than twice as long as the
    shortest; a lone axis only from 12 voxels on.
    """
    size, spacing = list(patch), list(spacing_mm)
    strides = []
    while True:
        long = [axis for axis in range(rank) if size[axis] >= 2 * LEAST_EDGE]
        if not long:
            break
        finest = min(spacing[axis] for axis in long)
        axes = [axis for axis in long if spacing[axis] / finest < 2]
        if len(axes) == 1 and size[axes[0]] < 3 * LEAST_EDGE:
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
    """The plan.

    Args:
        median_shape: Of the prepared cases, along x, y, z.
        spacing_mm: Of the prepared grid.
        rank: 3 for volumes, 2 for axial slices.
        first_stride: Of the first stage; above 1 where the network works on a coarser grid.
        first_features: Of the first stage.
        voxels: Of all cases together.
        cost: What a step takes of a device's memory.
        budget_bytes: What it may take of one device.
        largest_batch: Never more patches an update.
        replicas: Devices that share a batch.

    Raises:
        MachineError: Not even the smallest patch fits.
    """
    voxel = [s * step for s, step in zip(spacing_mm, first_stride, strict=True)][:rank]
    shape = [ceil(n / step) for n, step in zip(median_shape, first_stride, strict=True)][:rank]
    # As many millimetres along each axis, then no more than a case has.
    edge = (LARGEST_PATCH[rank] / prod(first_stride[:rank]) * prod(voxel)) ** (1 / rank)
    patch = [min(round(edge / s), n) for s, n in zip(voxel, shape, strict=True)]

    def completed(wanted: Sequence[int]) -> tuple[list[int], tuple[Triple, ...], list[int]]:
        strides = pooling(wanted, voxel, rank)
        divisor = [prod(stride[axis] for stride in strides) for axis in range(rank)]
        return [ceil(n / d) * d for n, d in zip(wanted, divisor, strict=True)], strides, divisor

    def measured(patch: Sequence[int], strides: tuple[Triple, ...], batch: int) -> Proposal:
        whole = [n * step for n, step in zip(patch, first_stride, strict=False)] + [1] * (3 - rank)
        stages = (first_stride, *strides)
        features = tuple(min(MOST_FEATURES[rank], first_features * 2**level) for level in range(len(stages)))
        x, y, z = whole
        needed = cost((x, y, z), ceil(batch / replicas), stages, features)
        return Proposal((x, y, z), batch, stages, features, needed)

    least = replicas * ceil(min(LEAST_BATCH, largest_batch) / replicas)
    patch, strides, divisor = completed(patch)
    found = measured(patch, strides, least)
    while found.bytes > budget_bytes:
        axis = max(range(rank), key=lambda a: (patch[a] / shape[a], a))  # the last of equals, as there
        smaller = list(patch)
        # Fewer stages may follow from it; then the edge gives way in their smaller steps.
        smaller[axis] -= divisor[axis]
        if smaller[axis] < 2 * LEAST_EDGE:
            if least > replicas:
                least -= replicas
                found = measured(patch, strides, least)
                continue
            raise MachineError(
                f"Even a patch of {'×'.join(map(str, found.patch))} voxels takes about {found.bytes / 2**30:.1f} GiB, "
                f"and {budget_bytes / 2**30:.1f} may be taken. Give memory_gib=… more, or a smaller network: "
                f"model.features=[16,…]."
            )
        divisor = completed(smaller)[2]
        patch[axis] -= divisor[axis]
        patch, strides, divisor = completed(patch)
        found = measured(patch, strides, least)
    most = max(least, min(largest_batch, int(voxels * DATASET_SHARE / prod(found.patch))))
    for batch in range(least + replicas, most + 1, replicas):
        larger = measured(patch, strides, batch)
        if larger.bytes > budget_bytes:
            break
        found = larger
    return found
