"""Rotation, scaling, elastic deformation and mirroring in a single interpolation.

Voxel p of the patch, relative to its centre, takes the value at R S (F p + d(p)), relative to the centre of the region
that was read: F mirrors, d is the elastic displacement, S scales, R = Rz Ry Rx rotates. The image is interpolated
linearly, with 0 beyond its edge. Labels take the nearest voxel: one read instead of eight per class, and no new labels.
The brain mask takes the nearest voxel too, which keeps the edge of the brain sharp.
"""

import math
from collections.abc import Sequence

from keras import ops

from brats_unet.data.augment.options import Elastic, Mirror, Rotation, Scaling
from brats_unet.data.augment.transform import Parameters, Sample, Tensor, Transform, around_1, between

LATTICE = 32  # nodes of the elastic displacement along an axis
OUTSIDE = 128  # added to the label of a voxel outside the brain until `cut_off` sets the image to 0 there

Margin = tuple[int, int, int]


def spatial(
    rotation: Rotation, scaling: Scaling, elastic: Elastic, mirror: Mirror, margin: Margin, in_plane: bool = False
) -> Transform:
    """Rotation, scaling, elastic deformation and mirroring of an image that was read `margin` wider on each side.

    A sample for which none of the first three is drawn is cropped to the patch, not interpolated; the mirror transform
    that follows mirrors it (parameter "reverse"). With `in_plane`, all axial slices of a sample are transformed alike,
    each within its plane.

    Source:
        batchgeneratorsv2 0.3.6, SpatialTransform; smoothness and size of the elastic field as in nnU-Net v1's
        augment_spatial_2.
    """

    def draw(u: Tensor) -> Parameters:
        rotated = u[:, 0] < rotation.probability
        angles = ops.where(rotated[:, None], between(u[:, 1:4], rotation.degrees) * (math.pi / 180), 0.0)
        scaled = u[:, 4] < scaling.probability
        vary = around_1 if scaling.balanced else lambda sides, v, ends: between(v, ends)
        own = vary(u[:, 6:9], u[:, 9:12], scaling.factors)
        factors = ops.where((u[:, 5] < scaling.per_axis)[:, None], own, own[:, :1])
        factors = ops.where(scaled[:, None], factors, 1.0)
        deformed = u[:, 12] < elastic.probability
        smoothness = ops.where(deformed, between(u[:, 13], elastic.smoothness), 1.0)
        magnitude = ops.where(deformed[:, None], between(u[:, 14:17], elastic.magnitude), 0.0)
        reverse = reversals(u[:, 17:20], mirror)
        return {
            "drawn": rotated | scaled | deformed,
            "angles": angles,
            "factors": factors,
            "smoothness": smoothness,
            "magnitude": magnitude,
            "reverse": reverse,
        }

    def apply(image: Tensor, labels: Tensor, parameters: Parameters, normals: Tensor) -> Sample:
        patch = [n - 2 * m for n, m in zip(image.shape[:3], margin, strict=True)]
        flat = flat_axes(patch, in_plane)
        normals = normals if elastic.probability else None
        positions = source_positions(patch, image.shape[:3], parameters, normals, flat)
        return interpolated(image, labels, patch, positions, flat)

    def cut(image: Tensor, labels: Tensor) -> Sample:
        if not any(margin):
            return image, labels
        x, y, z = (slice(m, n - m) for m, n in zip(margin, image.shape[:3], strict=True))
        return image[x, y, z], labels[x, y, z]

    field = (lambda shape: (3,) + (LATTICE,) * 3) if elastic.probability else None
    return Transform("spatial", 20, draw, apply, normals=field, finish=cut_off, otherwise=cut)


def reversals(uniforms: Tensor, mirror: Mirror) -> Tensor:
    """Axes to reverse, bool (B, 3), from uniform numbers (B, 3)."""
    named = [axis in mirror.axes for axis in range(3)]
    return (uniforms < mirror.probability) & ops.convert_to_tensor(named)


def flat_axes(patch: Sequence[int], in_plane: bool) -> tuple[bool, bool, bool]:
    """The axes along which nothing moves but by mirroring: those of one voxel, and z if `in_plane`."""
    x, y, z = (n == 1 for n in patch)
    return x, y, z or in_plane


def source_positions(
    patch: Sequence[int], read: Sequence[int], parameters: Parameters, normals: Tensor | None, flat: Sequence[bool]
) -> list[Tensor]:
    """Source position of each voxel of the patch: three float32 arrays of its shape, in voxels of the region read.

    Along a flat axis, nothing changes but by mirroring: slices are rotated, scaled and deformed within their plane.
    """
    angles = parameters["angles"]
    # a rotation about an axis moves the other two
    free = [not any(flat[other] for other in range(3) if other != axis) for axis in range(3)]
    cos, sin = (
        [ops.cos(angles[i]) if free[i] else 1.0 for i in range(3)],
        [ops.sin(angles[i]) if free[i] else 0.0 for i in range(3)],
    )
    factors = [1.0 if flat[i] else parameters["factors"][i] for i in range(3)]
    turn = _rotation(cos, sin)
    along = []
    for axis, n in enumerate(patch):
        position = ops.arange(n, dtype="float32") - (n - 1) / 2
        position = ops.where(parameters["reverse"][axis], -position, position)
        along.append(ops.reshape(position, [n if i == axis else 1 for i in range(3)]))
    if normals is not None:
        pushed = displacement(patch, parameters["smoothness"], parameters["magnitude"], normals)
        along = [a if flat[i] else a + pushed[i] for i, a in enumerate(along)]
    return [
        sum(turn[i][j] * factors[j] * along[j] for j in range(3)) + (read[i] - 1) / 2 + ops.zeros(tuple(patch))
        for i in range(3)
    ]


def _rotation(cos: Sequence, sin: Sequence) -> list[list]:
    """Rz Ry Rx, row by row."""
    (a, b, c), (p, q, r) = cos, sin
    return [
        [c * b, c * q * p - r * a, c * q * a + r * p],
        [r * b, r * q * p + c * a, r * q * a - c * p],
        [-q, b * p, b * a],
    ]


def displacement(patch: Sequence[int], smoothness: Tensor, magnitude: Tensor, normals: Tensor) -> list[Tensor]:
    """A smooth random displacement along each axis: three arrays of the patch's shape, in voxels, with mean 0.

    White noise is smoothed by a Gaussian of sigma = smoothness × edge and scaled so that its largest value is
    magnitude × sigma. The noise lies on a lattice that extends three sigma beyond the patch, so the statistics are the
    same up to the border. The lattice is too coarse for sigmas below 1/25 of the edge: they are raised to that.

    Args:
        patch: Voxels along x, y, z.
        smoothness: Sigma as a share of the edge, a scalar.
        magnitude: Largest displacement along each axis as a share of sigma, shape (3,).
        normals: Standard normal numbers, shape (3, LATTICE, LATTICE, LATTICE).
    """
    share = ops.maximum(smoothness, 1 / (LATTICE - 7))
    weights = []
    for n in patch:
        sigma = share * n
        nodes = (ops.arange(LATTICE, dtype="float32") / (LATTICE - 1) - 0.5) * (n + 6 * sigma)
        distance = ops.arange(n, dtype="float32")[:, None] - (n - 1) / 2 - nodes[None, :]
        weights.append(ops.exp(-0.5 * ops.square(distance / sigma)))
    found = []
    for axis, n in enumerate(patch):
        field = ops.reshape(normals[axis], (LATTICE, LATTICE * LATTICE))
        field = ops.reshape(ops.matmul(weights[0], field), (patch[0], LATTICE, LATTICE))
        field = ops.matmul(field, ops.transpose(weights[2]))  # (X, L, Z)
        field = ops.matmul(ops.broadcast_to(weights[1][None], (patch[0], patch[1], LATTICE)), field)
        field = field * (magnitude[axis] * share * n / ops.maximum(ops.max(ops.abs(field)), 1e-7))
        found.append(field - ops.mean(field))
    return found


def interpolated(
    image: Tensor, labels: Tensor, patch: Sequence[int], positions: Sequence[Tensor], flat: Sequence[bool]
) -> Sample:
    """Linear image, 0 beyond the edge of what was read; nearest labels, plus OUTSIDE beyond the edge or the brain.

    Along a flat axis, positions are whole voxels.
    """
    read, channels = image.shape[:3], image.shape[3]
    strides = [read[1] * read[2], read[2], 1]
    first, nearest, inside = 0, 0, True
    steps, weights = [], []
    for position, n, stride, whole in zip(positions, read, strides, flat, strict=True):
        position = ops.clip(position, -1.0, float(n))  # no index overflows
        low = ops.clip(ops.floor(position), 0.0, float(max(0, n - 2)))
        # weights of two neighbours inside the image: 1 minus the distance, and 0 beyond the edge
        rounded = ops.cast(ops.round(position), "int32")
        if whole:
            weights.append([ops.cast((rounded >= 0) & (rounded < n), "float32")[..., None]])
            steps.append([0])
            first = first + ops.clip(rounded, 0, n - 1) * stride
        else:
            weights.append([ops.maximum(1 - ops.abs(position - low - i), 0.0)[..., None] for i in (0, 1)])
            steps.append([0, stride])
            first = first + ops.cast(low, "int32") * stride
        inside = (rounded >= 0) & (rounded < n) & inside
        nearest = nearest + ops.clip(rounded, 0, n - 1) * stride

    rows = ops.reshape(image, (-1, channels))

    def along(axis: int, offset: int) -> Tensor:
        if axis == 3:
            return ops.cast(ops.take(rows, first + offset, axis=0), "float32")
        parts = zip(steps[axis], weights[axis], strict=True)
        return sum(along(axis + 1, offset + step) * weight for step, weight in parts)

    found = along(0, 0)

    sources = ops.take(rows, nearest, axis=0)
    brain = sources[..., 0] != 0
    for channel in range(1, channels):
        brain = brain | (sources[..., channel] != 0)
    marks = ops.take(ops.reshape(labels, (-1,)), nearest, axis=0)
    outside = ops.cast(OUTSIDE, labels.dtype)
    marks = ops.where(inside, ops.where(brain, marks, marks + outside), outside)
    return ops.cast(found, image.dtype), marks


def cut_off(image: Tensor, marks: Tensor) -> Sample:
    """The image with 0 where `marks` has OUTSIDE added, and the labels without it."""
    brain = marks < OUTSIDE
    return (
        ops.where(brain[..., None], image, ops.zeros((), image.dtype)),
        ops.where(brain, marks, marks - ops.cast(OUTSIDE, marks.dtype)),
    )
