"""What a `.keras` file may hold: stock layers that only compute, and weights that lie in the file itself.

A `.keras` file is a zip archive of JSON and HDF5. Keras makes objects of whatever its JSON names, and HDF5 can read
other files. So both are checked here before Keras sees the file, against a list of what is allowed.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from brats_unet.errors import CheckpointError
from brats_unet.files import size_text
from brats_unet.hand_written import json_values

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
# Largest size in bytes of each member, unpacked.
MEMBERS = {"metadata.json": 2**20, CONFIG: 2**26, WEIGHTS: 2**34}
LARGEST_RATIO = 1000  # of a member's size unpacked and packed
NUMBERS = "fiub"  # NumPy's kinds of float, integer and bool
LAYERS = (
    *("InputLayer", "Activation", "Add", "Average", "BatchNormalization", "Concatenate", "Dense", "Dropout", "ELU"),
    *("Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "DepthwiseConv2D", "SeparableConv2D", "Cropping2D"),
    *("AveragePooling2D", "AveragePooling3D", "Cropping3D", "MaxPooling2D", "MaxPooling3D", "GlobalAveragePooling2D"),
    *("GlobalAveragePooling3D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", "GroupNormalization", "Identity"),
    *("LayerNormalization", "LeakyReLU", "Maximum", "Minimum", "Multiply", "PReLU", "Permute", "ReLU", "Rescaling"),
    *("Reshape", "Softmax", "SpatialDropout2D", "SpatialDropout3D", "Subtract", "UnitNormalization", "UpSampling2D"),
    *("UpSampling3D", "ZeroPadding2D", "ZeroPadding3D", "AlphaDropout", "EinsumDense", "Flatten", "GaussianDropout"),
    *("GaussianNoise", "MultiHeadAttention", "RMSNormalization"),
)
NUMPY_OPERATIONS = (
    *("Absolute", "Add", "All", "Any", "Clip", "Concatenate", "Divide", "Equal", "Exp", "ExpandDims", "GetItem"),
    *("Greater", "GreaterEqual", "Less", "LessEqual", "Log", "LogicalAnd", "LogicalNot", "LogicalOr", "Matmul", "Max"),
    *("Maximum", "Mean", "Min", "Minimum", "Moveaxis", "Multiply", "Negative", "NotEqual", "Pad", "Power", "Reshape"),
    *("Split", "Sqrt", "Square", "Squeeze", "Stack", "Subtract", "Sum", "Transpose", "TrueDivide", "Var", "Where"),
)
NN_OPERATIONS = ("Elu", "Gelu", "LeakyRelu", "LogSoftmax", "Relu", "Sigmoid", "Silu", "Softmax", "Softplus")
INITIALIZERS = (
    *("Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Ones"),
    *("Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros"),
)
# Module -> classes of it that may be made. Every one computes from its inputs and reads no file.
ALLOWED = {
    "keras": ("DTypePolicy", "Sequential"),
    "keras.src.models.functional": ("Functional",),
    "keras.layers": LAYERS,
    "keras.initializers": INITIALIZERS,
    "keras.regularizers": ("L1", "L1L2", "L2"),
    "keras.src.ops.core": ("Cast",),
    "keras.src.ops.numpy": NUMPY_OPERATIONS,
    "keras.src.ops.nn": NN_OPERATIONS,
}
VALUES = ("__keras_tensor__", "__numpy__", "__tuple__", "__slice__", "__ellipsis__")  # data, not classes to look up


def refuse_unsafe_keras(path: Path) -> None:
    """Refuse a `.keras` file that holds more than stock layers and their weights; Keras is not asked.

    Raises:
        CheckpointError: What was found, and why it is refused.
    """
    if path.suffix != ".keras" or not path.is_file():
        raise _refused(path, "it is not a file with the ending .keras")
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_members(path, archive)
            config, weights = archive.read(CONFIG), archive.read(WEIGHTS)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, UnicodeDecodeError) as problem:
        raise _refused(path, f"it is not a readable zip archive ({problem})") from None
    try:
        content = json_values(config)
        if isinstance(content, dict):
            content.pop("compile_config", None)  # optimizer and loss, which compile=False leaves out
        _refuse_config(path, content)
    except ValueError as problem:
        raise _refused(path, f"its {CONFIG} is not readable as JSON ({problem})") from None
    try:
        with h5py.File(io.BytesIO(weights), "r") as stored:
            _refuse_stored(path, stored)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as problem:
        raise _refused(path, f"its {WEIGHTS} is not readable as HDF5 ({problem})") from None


def _refuse_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse other files than Keras writes for a network, and files that unpack to an absurd size."""
    members = archive.infolist()
    for member in members:
        if member.filename not in MEMBERS:
            raise _refused(path, f"it holds {member.filename!r}; expected only {', '.join(MEMBERS)}")
        largest = min(MEMBERS[member.filename], LARGEST_RATIO * max(member.compress_size, 1))
        if member.file_size > largest:
            sizes = f"{size_text(member.compress_size)} to {size_text(member.file_size)}"
            raise _refused(path, f"its {member.filename} unpacks from {sizes}; expected at most {size_text(largest)}")
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(path, f"its {member.filename} is encrypted or packed in an unusual way")
    names = [member.filename for member in members]
    if sorted(names) != sorted(MEMBERS):
        raise _refused(path, f"it holds {', '.join(names) or 'nothing'}; expected {', '.join(MEMBERS)}, each once")


def _refuse_config(path: Path, config: Any) -> None:
    """Refuse classes that are not in `ALLOWED`, in any part of the configuration."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if not value.keys().isdisjoint(("class_name", "module", "registered_name")):
                _refuse_class(path, value)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _refuse_class(path: Path, described: dict[str, Any]) -> None:
    module, name, registered = (described.get(key) for key in ("module", "class_name", "registered_name"))
    if isinstance(name, str) and name in VALUES and module is None and registered is None:
        return
    allowed = ALLOWED.get(module, ()) if isinstance(module, str) else ()
    if name not in allowed or registered not in (None, name):
        raise _refused(
            path,
            f"its {CONFIG} names the class {module}.{name} (registered as {registered}), which is not a stock layer "
            f"that only computes. For a network of another package, give its run folder",
        )


def _refuse_stored(path: Path, stored: h5py.File) -> None:
    """Refuse links, data outside the file, and arrays that are larger than what is stored of them."""
    total = 0
    for name, item in _items(path, stored):
        if isinstance(item, h5py.Group):
            continue
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            raise _refused(path, f"{name} in its {WEIGHTS} is not an array")
        if item.external or item.is_virtual:
            raise _refused(path, f"{name} in its {WEIGHTS} reads another file")
        opaque = item.dtype.kind == "V" and item.dtype.fields is None and item.dtype.metadata is None  # bfloat16
        if not opaque and item.dtype.kind not in NUMBERS:
            raise _refused(path, f"{name} in its {WEIGHTS} holds {item.dtype}, not numbers")
        total += item.nbytes
        if item.nbytes > item.id.get_storage_size() or total > MEMBERS[WEIGHTS]:
            sizes = f"{size_text(item.id.get_storage_size())} to {size_text(item.nbytes)}"
            raise _refused(path, f"{name} in its {WEIGHTS} unpacks from {sizes}")


def _items(path: Path, stored: h5py.File) -> Iterator[tuple[str, Any]]:
    """Every group and array of an HDF5 file with its name, each once; refuses links, which can lead to other files."""
    waiting: list[tuple[str, Any]] = [("", stored)]
    seen = set()
    while waiting:
        prefix, group = waiting.pop()
        for key in group:
            name = f"{prefix}/{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise _refused(path, f"{name} in its {WEIGHTS} is a link")
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise _refused(path, f"{name} in its {WEIGHTS} is stored twice")
            seen.add(address)
            yield name, item
            if isinstance(item, h5py.Group):
                waiting.append((name, item))


def _refused(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path}: refused as a Keras model: {reason}. See SECURITY.md.")
