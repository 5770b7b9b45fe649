"""The commands as functions, for notebooks: the same settings, the same refusals as exceptions, and objects as results.

    from brats_unet import compare, evaluate, train

    run = train("data.root=/data/BraTS2020", experiment="quick", steps=500)
    scores = evaluate(run)
    scores.to_pandas()

A setting is a keyword (`steps=500`), a text as on the command line (`"data.root=/scans"`), or both by section
(`data={"root": "/scans"}`). A path without a name means what it does on the command line.
"""

import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import Any

from brats_unet.cli import arguments, checks, conf_files
from brats_unet.cli.implied import in_hydras_grammar
from brats_unet.cli.main import settings_of
from brats_unet.errors import SettingsError
from brats_unet.evaluation.paired import Comparison
from brats_unet.evaluation.record import open_evaluation
from brats_unet.hardware import quiet_tensorflow
from brats_unet.results import Masks, Scores, TrainedRun
from brats_unet.stopping import StopRequest

Setting = str | int | float | bool | None | PathLike[str] | Sequence[Any] | Mapping[str, Any]


def train(*texts: str | PathLike[str], **settings: Setting) -> TrainedRun:
    """Train a network, or resume a training, in this process.

    In the main thread, the first Ctrl-C saves and raises `Interrupted`; the same call continues.

        >>> small = {"features": [4, 8], "strides": [1, 2]}
        >>> run = train("data.root=scans", experiment="quick", name="small", steps=2, model=small)
        >>> run.facts.state
        'done'

    Args:
        texts: Settings as on the command line, such as "data.root=/scans".
        settings: Settings by name, such as `steps=500`.

    Returns:
        The run folder.

    Raises:
        BratsError: What `brats-unet train` refuses, in the same words.
    """
    asked = _asked("train", texts, settings)
    with quiet_tensorflow():
        from brats_unet.assembly.run_names import run_folder
        from brats_unet.commands import train as command

    stop, main_thread = StopRequest(), threading.current_thread() is threading.main_thread()
    with stop if main_thread else nullcontext():
        command.main(asked, stop)
    return TrainedRun(run_folder(asked))


def evaluate(*texts: str | PathLike[str], **settings: Setting) -> Scores:
    """Score a run on its held-out cases, or a folder of masks against another; prints the tables too.

        >>> scores = evaluate("runs/small", figures=False)
        >>> list(scores.mean("dice"))
        ['WT', 'TC', 'ET']

    Args:
        texts: A run, two folders of masks, or settings as on the command line.
        settings: Settings by name, such as `run=…`.

    Raises:
        BratsError: What `brats-unet evaluate` refuses, in the same words.
    """
    from brats_unet.commands.evaluate import evaluated

    asked = _asked("evaluate", texts, settings)
    if asked.run is None and asked.output is None:
        with tempfile.TemporaryDirectory() as temporary:
            asked.output = f"{temporary}/scores"
            evaluated(asked)
            return Scores(None, open_evaluation(Path(asked.output)))
    folder = evaluated(asked)
    assert folder is not None  # this process is the only one
    return Scores(folder, open_evaluation(folder))


def predict(*texts: str | PathLike[str], **settings: Setting) -> Masks:
    """Segment a folder of cases; for one case as arrays, see `load`.

        >>> masks = predict("runs/small", "scans", output="masks")
        >>> [path.name for path in masks][:1]
        ['Phantom20_001.nii.gz']

    Args:
        texts: Runs and one folder of scans, or settings as on the command line.
        settings: Settings by name, such as `output=…`.

    Raises:
        BratsError: What `brats-unet predict` refuses, in the same words. A case that cannot be read is in `failed`.
    """
    from brats_unet.commands.predict import predicted

    asked = _asked("predict", texts, settings)
    done = predicted(asked)
    return Masks(Path(asked.output), done.written, done.failed, done.review)


def compare(*texts: str | PathLike[str], **settings: Setting) -> Comparison:
    """Compare evaluations of the same cases, paired by case; prints the tables too.

        >>> evaluate("masks", "scans", output="once", figures=False).folder.name
        'once'
        >>> evaluate("masks", "scans", output="again", figures=False).folder.name
        'again'
        >>> compare("once", "again", metrics=["dice"]).names
        ('once', 'again')

    Args:
        texts: Two or more runs or folders of scores, or settings as on the command line.
        settings: Settings by name, such as `metrics=["dice"]`.

    Raises:
        BratsError: What `brats-unet compare` refuses, in the same words.
    """
    from brats_unet.commands.compare import compared

    return compared(_asked("compare", texts, settings))


def crossval(*texts: str | PathLike[str], **settings: Setting) -> Scores:
    """Train every fold, each in a process of its own, and score each case by the fold that held it out.

        >>> small = {"features": [4, 8], "strides": [1, 2]}
        >>> scores = crossval("data.root=scans", experiment="quick", name="all", folds=2, steps=2, model=small)
        >>> load(scores.folder)
        <Segmenter of 2: flair, t1, t1ce, t2 -> brats2017 labels>

    Args:
        texts: Settings as on the command line, such as "data.root=/scans".
        settings: Settings by name, such as `folds=5`.

    Returns:
        The scores of all cases; their `folder` is the ensemble, which `load` and `predict` take as a run.

    Raises:
        BratsError: What `brats-unet crossval` refuses, in the same words; or a fold failed.
    """
    from brats_unet.cli import crossval as command

    request = _request("crossval", texts, settings)
    overrides = checks.checked(request)
    asked = settings_of(request, overrides)
    folder = command.folder_of(asked)
    if command.crossval(request, overrides, asked):
        raise SettingsError(f"{folder}: a fold failed; folds.csv there says why. Mend it, and call again.")
    return Scores(folder, open_evaluation(folder))


def _request(command: str, texts: Sequence[str | PathLike[str]], settings: Mapping[str, Setting]) -> arguments.Request:
    conf = conf_files.Conf(command)
    words = [str(Path(text)) if isinstance(text, PathLike) else text for text in texts]
    request = arguments.Request(command, {}, [*words, *_typed(settings, conf)])
    arguments.gather_paths(request)
    return request


def _asked(command: str, texts: Sequence[str | PathLike[str]], settings: Mapping[str, Setting]) -> Any:
    request = _request(command, texts, settings)
    return settings_of(request, checks.checked(request))


def _typed(settings: Mapping[str, Setting], conf: conf_files.Conf, section: str = "") -> Iterator[str]:
    """Settings by name as they are typed; a mapping of a section gives each of its settings."""
    for name, value in settings.items():
        key = f"{section}{name}"
        if isinstance(value, Mapping) and (key in conf.sections or key in conf.defaults):
            yield from _typed(value, conf, f"{key}.")
        elif isinstance(value, str | PathLike):
            yield f"{key}={value}"
        else:
            yield f"{key}={in_hydras_grammar(list(value) if isinstance(value, tuple) else value)}"
