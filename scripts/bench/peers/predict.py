"""nnU-Net's own predictor on one case, with random weights; run by scripts/bench/predict.py.

    .venv-peers/bin/python scripts/bench/peers/predict.py CASE OUTPUT THREADS cpu|gpu

CASE is a folder with <id>_flair, _t1, _t1ce and _t2 (.nii or .nii.gz). Prints, as the last line, JSON: seconds from
reading the scans to writing the mask, number of tiles and mean seconds per tile, seconds with 8-fold mirroring
(computed from the tiles), and peak memory. On a GPU, where nnU-Net computes in float16, the case is predicted twice and
the second time counts.
"""

import contextlib
import io
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

case, output, threads, on_gpu = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "gpu"
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ.setdefault(name, "/nowhere")
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # noqa: E402
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans  # noqa: E402
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # noqa: E402

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
            "patch_size": [128, 128, 128],
            "spacing": [1.0, 1.0, 1.0],
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
                    "n_stages": 6,
                    "features_per_stage": [32, 64, 128, 256, 320, 320],
                    "conv_op": "torch.nn.modules.conv.Conv3d",
                    "kernel_sizes": [[3, 3, 3]] * 6,
                    "strides": [[1, 1, 1], *[[2, 2, 2]] * 5],
                    "n_conv_per_stage": [2] * 6,
                    "n_conv_per_stage_decoder": [2] * 5,
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


def main() -> None:
    torch.set_num_threads(threads)
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
        if on_gpu:
            torch.cuda.synchronize()
        tiles.append(time.perf_counter() - begin)
        return found

    predictor = nnUNetPredictor(
        tile_step_size=0.5,
        use_gaussian=True,
        use_mirroring=False,
        device=torch.device("cuda" if on_gpu else "cpu"),
        allow_tqdm=False,
    )
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    predictor.manual_initialization(network, plans, configuration, [weights], DATASET, "nnUNetTrainer", (0, 1, 2))
    network.forward = timed
    output.mkdir(parents=True, exist_ok=True)
    files = [str(next(case.glob(f"*_{name}.nii*"))) for name in MODALITIES]
    for _ in range(2 if on_gpu else 1):
        tiles.clear()
        begin = time.perf_counter()
        predictor.predict_from_files_sequential([files], [str(output / "case")], overwrite=True)
        seconds = time.perf_counter() - begin
    mean = sum(tiles) / len(tiles)
    result = {
        "seconds": seconds,
        "precision": "float16" if on_gpu else "float32",
        "tiles": len(tiles),
        "tile_seconds": mean,
        "mirrored_seconds": seconds - sum(tiles) + 8 * len(tiles) * mean,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "weights": sum(parameter.numel() for parameter in network.parameters()),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main()
    print(printed.getvalue().strip().splitlines()[-1])
