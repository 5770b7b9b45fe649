"""What an evaluation of runs scores: the predictions of their cases, and the mean tumour of their training cases."""

from collections.abc import Callable
from pathlib import Path

from brats_unet.assembly.networks import open_networks, postprocessing_of, with_inference_options
from brats_unet.assembly.scored_cases import RunCases
from brats_unet.data.run_cases import training_cases
from brats_unet.distributed.workers import Workers
from brats_unet.errors import DataError
from brats_unet.evaluation.mean_shape_file import cached_mean_shape
from brats_unet.evaluation.score import Pair
from brats_unet.evaluation.trivial import MeanShape
from brats_unet.files import remove_file
from brats_unet.inference.masks_folder import is_stale, origin_of
from brats_unet.inference.predicting import predict_cases
from brats_unet.inference.probability_maps import keep_nothing, keep_regions
from brats_unet.metrics.protocols import SEED, protocol_for
from brats_unet.private_paths import short_text
from brats_unet.run import PREDICTIONS, PROBABILITIES, mask_file, probability_file
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import scheme_in
from brats_unet.settings import Evaluate


def predicted(
    one: RunCases,
    settings: Evaluate,
    workers: Workers,
    *,
    log: Callable[[str], None],
    progress: Callable[[str, int, int], None],
) -> list[Pair]:
    """Predict the cases to score with one run, except those already predicted by the same weights; pairs to score."""
    run = one.run
    networks = open_networks([run.folder], checkpoint=settings.checkpoint, device=settings.device, log=log)
    networks = with_inference_options(networks, mode=settings.mode, mirror=settings.mirror)
    rules = postprocessing_of([run.folder], settings.postprocess, networks[0].scheme, log)
    recipe = networks[0].recipe
    convention = conventions(scheme_in(recipe))[recipe["convention"]]
    output = one.folder / PREDICTIONS
    softmax = recipe["outputs"] == "labels"
    seed_scores = settings.seed_scores or protocol_for(settings.protocol, convention.scheme)[0] == SEED
    keeps_probabilities = settings.calibration or (softmax and seed_scores)
    probabilities = output / PROBABILITIES
    origin = origin_of(
        [run.folder],
        networks,
        checkpoint=settings.checkpoint,
        convention=convention.name,
        rules=rules,
        kept=[PROBABILITIES] if keeps_probabilities else [],
    )
    origin |= {"data": one.data} if one.data else {}
    stale = is_stale(output, origin)
    workers.gather("stale masks", None)
    if stale and output.is_symlink() and workers.is_chief:
        remove_file(output)
    done = predict_cases(
        networks,
        one.cases,
        output,
        convention,
        rules=rules,
        origin=origin,
        overwrite=stale,
        keep=keep_regions(probabilities, convention.scheme, exact=softmax) if keeps_probabilities else keep_nothing,
        log=log,
        progress=lambda count, total: progress(f"Predicting {run.name}", count, total),
        workers=workers,
    )
    if done.failed:
        raise DataError("\n".join(done.failed.values()))
    regions = convention.scheme.predicted
    return [
        Pair(
            case.id,
            case.mask,
            mask_file(output, case.id),
            case.images,
            one.convention,
            convention,
            {region: probability_file(probabilities, case.id, region) for region in regions}
            if keeps_probabilities
            else None,
            softmax,
            case.stratum or "",
            case.absent,
        )
        for case in one.cases
        if case.mask is not None
    ]


def add_mean_shape(
    one: RunCases, settings: Evaluate, shapes: dict[str, MeanShape], progress: Callable[[str, int, int], None]
) -> str:
    """Add the mean shape of the training cases to `shapes` for each case not trained on; returns why not, or ""."""
    recipe, root = one.run.recipe(), one.training_root
    try:
        shape = cached_mean_shape(
            one.run.mean_shape_file,
            training_cases(one.run, root),
            conventions(scheme_in(recipe))[recipe["convention"]],
            workers=settings.workers,
            progress=lambda count, total: progress("Mean shape of the training cases", count, total),
        )
    except DataError as problem:  # not fatal: the scores of the network do not depend on it
        return short_text(str(problem), [Path(root or one.run.data_settings()["root"])])
    shapes.update({case.id: shape for case in one.cases if case.id not in (one.trained_on or {})})
    return ""
