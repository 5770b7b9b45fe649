"""Connected components of a mask, which are the lesions and instances that are scored."""

import cc3d
import numpy as np

THIN = 4  # voxels; a box with a shorter edge is padded


def numbered_components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """The 26-connected components of a mask, numbered from 1, and how many there are.

    cc3d 4.1 expects at most one component in four voxels. A box that is one voxel thin, or has 3×3×3 voxels, can hold
    more, and cc3d then ends with "maximum length exception". A layer of background gives it the room.

    Args:
        mask: bool, shape (X, Y, Z).

    Returns:
        Numbers of the components, unsigned integers in the shape of `mask`, 0 in the background; and their count.
    """
    if min(mask.shape) >= THIN:
        labels, count = cc3d.connected_components(mask, connectivity=26, return_N=True)
        return labels, int(count)
    labels, count = cc3d.connected_components(np.pad(mask, ((0, 1),) * 3), connectivity=26, return_N=True)
    return np.ascontiguousarray(labels[tuple(slice(0, n) for n in mask.shape)]), int(count)
