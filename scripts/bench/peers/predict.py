"""nnU-Net's own predictor on one case, with random weights, timed on request by scripts/bench/predict.py and gpu.sh.

    .venv-peers/bin/python scripts/bench/peers/predict.py '{"case": FOLDER, "device": "cpu", "threads": 2, …}'

The case is a folder with <id>_flair, _t1, _t1ce and _t2 (.nii or .nii.gz); "mirror" is none or all. It is predicted in
tiles, from reading the scans to writing the mask; on a GPU nnU-Net computes in float16. `contender.serve` describes the
requests and answers; at the end come the number of tiles of the last prediction and the mean seconds of each.
"""

import contextlib
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

options = json.loads(sys.argv[1])
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(options["threads"])
for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ.setdefault(name, "/nowhere")
warnings.filterwarnings("ignore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "timing"))

import torch  # noqa: E402
from contender import serve  # noqa: E402
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # noqa: E402
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans  # noqa: E402
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # noqa: E402

CASE, FEATURES, STAGES = Path(options["case"]), options["features"], len(options["features"])
ON_GPU = options["device"] == "gpu"
MODALITIES = ("flair", "t1", "t1ce", "t2")
RESAMPLING = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
DATASET = {
    "channel_names": {str(i): name for i, name in enumerate(MODALITIES)},
    "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]},
    "regions_class_order": [1, 2, 3],
    "file_ending": ".nii.gz",
    "numTraining": 1,
}
PLANS = {
    "dataset_name": "Dataset001_BraTS",
    "plans_name": "nnUNetPlans",
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "experiment_planner_used": "ExperimentPlanner",
    "label_manager": "LabelManager",
    "foreground_intensity_properties_per_channel": {str(i): {} for i in range(len(MODALITIES))},
    "configurations": {
        "3d_fullres": {
            "data_identifier": "nnUNetPlans_3d_fullres",
            "preprocessor_name": "DefaultPreprocessor",
            "batch_size": 2,
            "patch_size": options["tile"],
            "spacing": [options["spacing_mm"]] * 3,
            "normalization_schemes": ["ZScoreNormalization"] * 4,
            "use_mask_for_norm": [True] * 4,
            "resampling_fn_data": "resample_data_or_seg_to_shape",
            "resampling_fn_seg": "resample_data_or_seg_to_shape",
            "resampling_fn_data_kwargs": RESAMPLING,
            "resampling_fn_seg_kwargs": {**RESAMPLING, "is_seg": True, "order": 1},
            "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
            "resampling_fn_probabilities_kwargs": {**RESAMPLING, "order": 1},
            "batch_dice": True,
            "architecture": {
                "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                "arch_kwargs": {
                    "n_stages": STAGES,
                    "features_per_stage": FEATURES,
                    "conv_op": "torch.nn.modules.conv.Conv3d",
                    "kernel_sizes": [[3, 3, 3]] * STAGES,
                    "strides": [[1, 1, 1], *[[2, 2, 2]] * (STAGES - 1)],
                    "n_conv_per_stage": [2] * STAGES,
                    "n_conv_per_stage_decoder": [2] * (STAGES - 1),
                    "conv_bias": True,
                    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                    "dropout_op": None,
                    "dropout_op_kwargs": None,
                    "nonlin": "torch.nn.LeakyReLU",
                    "nonlin_kwargs": {"inplace": True},
                },
                "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
            },
        }
    },
}


def main() -> tuple[dict[str, Any], Callable[[str], float], Callable[[], dict[str, Any]]]:
    """What `serve` needs: facts, and the functions that predict and that say goodbye."""
    torch.set_num_threads(options["threads"])
    torch.manual_seed(0)
    plans = PlansManager(PLANS)
    configuration = plans.get_configuration("3d_fullres")
    network = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        4,
        3,
        allow_init=True,
        deep_supervision=False,
    )
    network.eval()
    tiles: list[float] = []
    forward = network.forward

    def timed(patch: torch.Tensor) -> torch.Tensor:
        begin = time.perf_counter()
        found = forward(patch)
        if ON_GPU:
            torch.cuda.synchronize()
        tiles.append(time.perf_counter() - begin)
        return found

    predictor = nnUNetPredictor(
        tile_step_size=0.5,
        use_gaussian=True,
        use_mirroring=options["mirror"] == "all",
        device=torch.device("cuda" if ON_GPU else "cpu"),
        allow_tqdm=False,
    )
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    predictor.manual_initialization(network, plans, configuration, [weights], DATASET, "nnUNetTrainer", (0, 1, 2))
    network.forward = timed
    files = [str(next(CASE.glob(f"*_{name}.nii*"))) for name in MODALITIES]

    def seconds(precision: str) -> float:
        tiles.clear()
        with tempfile.TemporaryDirectory() as output, contextlib.redirect_stdout(sys.stderr):
            begin = time.perf_counter()
            predictor.predict_from_files_sequential([files], [str(Path(output) / "case")], overwrite=True)
            return time.perf_counter() - begin

    def farewell() -> dict[str, Any]:
        peak = torch.cuda.max_memory_allocated() if ON_GPU else 0
        return {"device_peak_bytes": peak, "tiles": len(tiles), "tile_seconds": sum(tiles) / len(tiles)}

    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"parameters": parameters, "precision": "float16" if ON_GPU else "float32"}, seconds, farewell


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        prepared = main()
    serve(*prepared)
