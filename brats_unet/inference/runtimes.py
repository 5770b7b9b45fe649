"""Run exported networks in onnxruntime, OpenVINO or TensorFlow; each is imported only when needed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brats_unet.errors import CheckpointError, MachineError
from brats_unet.hardware import quiet_tensorflow
from brats_unet.inference.exported import (
    IMAGE,
    PROBABILITIES,
    Exported,
    refuse_unless_it_runs,
    refuse_untrusted,
)
from brats_unet.inference.network import Network, SizeLimit
from brats_unet.inference.network_files import refuse_altered
from brats_unet.inference.onnx_files import refuse_foreign_weights
from brats_unet.inference.predictor import Forward, MemoryFull, in_slices
from brats_unet.processes import cores

LONGEST_START = 100  # bytes in which an XML file says that it is one
Compute = Callable[[np.ndarray], np.ndarray]  # float32 patches or slices to region probabilities


@dataclass(frozen=True)
class Engine:
    """An exported network loaded in its runtime.

    Attributes:
        compute: The network as a function.
        on_host: Whether it computes in host memory.
        any_size: Whether it takes patches of any size, even if `multiple_of` in its description is above 1.
        size_limit: Why it does not take any size; None if it does or the reason is unknown.
    """

    compute: Compute
    on_host: bool
    any_size: bool = False
    size_limit: SizeLimit | None = None


def exported_network(exported: Exported, *, device: str, trust: bool, log: Callable[[str], None]) -> Network:
    """Load an exported network for prediction.

    Args:
        exported: Its files and recipe.
        device: "auto", "cpu" or "gpu"; ignored by TensorFlow, whose device is chosen beforehand.
        trust: Whether a SavedModel may run, which is a program of those who made it.
        log: Called with one sentence about anything the user should know.

    Raises:
        MachineError: Its runtime is not installed, or device="gpu" and the runtime has no GPU.
        CheckpointError: The file cannot be read, its channels differ from its description, or it is not safe to open.
    """
    refuse_untrusted(exported, trust=trust)
    refuse_unless_it_runs(exported)
    refuse_altered(exported)
    engine = RUNTIMES[exported.format](exported.file, device)
    stride = (1, 1, 1) if engine.any_size else tuple(exported.recipe["stride"])
    forward = _forward(engine.compute, exported.rank)
    return Network(forward, exported.recipe, stride, log, engine.on_host, size_limit=engine.size_limit)


def _forward(compute: Compute, rank: int) -> Forward:
    """Round patches to float16, as for a run's network, then compute in float32."""

    def forward(patches: np.ndarray) -> np.ndarray:
        exact = patches.astype(np.float16, copy=False).astype(np.float32)
        return in_slices(compute, exact) if rank == 2 else compute(exact)

    return forward


def _onnx(file: Path, device: str) -> Engine:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    offered = onnxruntime.get_available_providers()
    if device == "gpu" and cuda not in offered:
        raise MachineError(
            f"device=gpu, but onnxruntime here offers {', '.join(offered)}. Use device=cpu, or pip install "
            f"onnxruntime-gpu in place of onnxruntime."
        )
    try:
        refuse_foreign_weights(file)
    except (ValueError, OSError) as problem:
        raise _unreadable(file, "an ONNX network", problem) from problem
    options = onnxruntime.SessionOptions()  # no library of custom operations is ever registered
    options.log_severity_level = 3
    options.intra_op_num_threads = cores()
    options.enable_mem_pattern = False  # helps only if all volumes have one size, and brains do not
    providers = [cuda, cpu] if device != "cpu" and cuda in offered else [cpu]
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=providers)
    except (
        state.Fail,
        state.InvalidProtobuf,
        state.InvalidGraph,
        state.InvalidArgument,
        state.NotImplemented,
        UnicodeDecodeError,  # a name in the file that onnxruntime repeats in its message
    ) as problem:
        raise _unreadable(file, "an ONNX network", problem) from problem
    inputs = [one.name for one in session.get_inputs()]
    if inputs != [IMAGE]:
        raise _unreadable(file, f"a network with one input named {IMAGE}", ValueError(f"its inputs are {inputs}"))
    on_host = session.get_providers()[0] == cpu
    if device == "gpu" and on_host:  # onnxruntime itself falls back to the CPU silently
        raise MachineError(
            "device=gpu, but onnxruntime cannot start CUDA here: its libraries (CUDA, cuDNN) are missing or do not "
            "match this onnxruntime-gpu. Use device=cpu, or pip install onnxruntime-gpu[cuda,cudnn]."
        )

    def compute(patches: np.ndarray) -> np.ndarray:
        try:
            return session.run([PROBABILITIES], {IMAGE: patches})[0]
        except state.InvalidArgument as problem:
            raise _unreadable(file, "a network of the scans listed in its description", problem) from problem
        except (state.Fail, state.RuntimeException) as problem:
            if "alloc" in str(problem).lower():
                raise MemoryFull(patches.shape) from problem
            raise

    return Engine(compute, on_host)


def _openvino(file: Path, device: str) -> Engine:
    with open(file, "rb") as opened:
        start = opened.read(LONGEST_START)
    if not start.lstrip().startswith((b"<?xml", b"<net")):  # OpenVINO also opens other formats, whatever the name
        raise _unreadable(file, "an OpenVINO network", ValueError("it is not an XML file"))
    import openvino

    core = openvino.Core()
    target = {"auto": "CPU", "cpu": "CPU", "gpu": "GPU"}[device]
    if target not in {name.split(".")[0] for name in core.available_devices}:
        raise MachineError(f"device={device}, but OpenVINO finds only {', '.join(core.available_devices)}.")
    try:
        network = core.compile_model(str(file), target, {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as problem:
        raise _unreadable(file, "an OpenVINO network", problem) from problem
    return Engine(lambda patches: np.array(network(patches)[PROBABILITIES]), target == "CPU")


def _keras(file: Path, device: str) -> Engine:
    with quiet_tensorflow():
        from brats_unet.inference import keras_network
        from brats_unet.inference.any_size import of_any_size, size_limit

    model = keras_network.keras_file(file)
    limit = size_limit(model)
    if limit is None:
        model = of_any_size(model)
    return Engine(keras_network.traced(model), not keras_network.on_gpu(), limit is None, limit)


def _savedmodel(file: Path, device: str) -> Engine:
    with quiet_tensorflow():
        from brats_unet.inference import keras_network

    return Engine(keras_network.saved_model(file), not keras_network.on_gpu())


def _unreadable(file: Path, expected: str, problem: Exception) -> CheckpointError:
    reason = next(iter(str(problem).strip().splitlines()), type(problem).__name__)
    return CheckpointError(f"{file}: cannot be read as {expected} ({reason}). Export it again.")


RUNTIMES: dict[str, Callable[[Path, str], Engine]] = {
    "keras": _keras,
    "savedmodel": _savedmodel,
    "onnx": _onnx,
    "openvino": _openvino,
}
