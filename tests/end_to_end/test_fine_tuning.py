"""A network of two sequences goes on with four: `train init=`, with new parts that train alone at first."""

import signal

import numpy as np
import pytest
from safetensors.numpy import load_file

from brats_unet.cli.main import main
from brats_unet.commands import train as command
from brats_unet.json_files import read_json
from brats_unet.run import Run

FIRST = "encoder_0_conv_0/kernel"


def weights(run, group="weights/"):
    """The weights of the last checkpoint, or their averages, by their paths."""
    tensors = load_file(run.checkpoint_file("last"))
    return {key.removeprefix(group): value for key, value in tensors.items() if key.startswith(group)}


@pytest.fixture
def stop_after(monkeypatch):
    """Stop the next training after so many steps, as Ctrl-C does."""
    real = command.train

    def stop(steps):
        def stopping(**given):
            shown = given["display"].step

            def step(number, *facts):
                shown(number, *facts)
                if number == steps:
                    signal.raise_signal(signal.SIGINT)

            monkeypatch.setattr(given["display"], "step", step)
            monkeypatch.setattr(command, "train", real)
            return real(**given)

        monkeypatch.setattr(command, "train", stopping)

    return stop


@pytest.mark.slow
def test_two_sequences_to_four_and_other_outputs_resumed_in_the_frozen_steps(
    tmp_path, phantom_root, stop_after, capsys
):
    common = ["experiment=quick", "data=brats", "data.folds=2", "data.preparation.spacing_mm=[6,6,6]"]
    common += ["model.features=[4,6]", "model.strides=[1,2]", "sampling.patch=[8,8,8]", "validation.cases=0"]
    common += [f"data.root={phantom_root}", f"data.cache={tmp_path / 'cache'}", f"runs={tmp_path / 'runs'}"]
    source, straight, stopped = (Run(tmp_path / "runs" / name) for name in ("source", "straight", "stopped"))
    two = ["name=source", "steps=1", "data.modalities=[flair,t1ce]", "optimizer.ema=0.9", "optimizer.learning_rate=0.1"]
    assert main(["train", *common, *two]) == 0
    four = [*common, "steps=3", f"init={source.folder}", "init_freeze_steps=2", "loss=label_dice_ce"]
    capsys.readouterr()
    assert main(["train", *four, "name=straight"]) == 0
    said = capsys.readouterr().out
    assert "encoder_0_conv_0, by channel: took flair, t1ce; t1, t2 start at 0." in said
    assert "New: head_0, because the source predicts regions and this run labels." in said
    assert read_json(straight.init_file, what="")["channels"][FIRST]["new"] == ["t1", "t2"]

    # In the frozen steps only what is new moves; the rest are the averaged weights of the source.
    stop_after(1)
    assert main(["train", *four, "name=stopped"]) == 75
    old, here = weights(source, "average/"), weights(stopped)
    for path in old.keys() - {FIRST, "head_0/kernel", "head_0/bias"}:
        np.testing.assert_array_equal(here[path], old[path])
    np.testing.assert_array_equal(here[FIRST][..., [0, 2], :], old[FIRST])
    assert (here[FIRST][..., [1, 3], :] != 0).all()

    # Resumed among the frozen steps, it ends as without interruption.
    assert main(["train", *four, "name=stopped"]) == 0
    assert straight.checkpoint_file("last").read_bytes() == stopped.checkpoint_file("last").read_bytes()
    assert (weights(straight)["decoder_0_conv_0/kernel"] != old["decoder_0_conv_0/kernel"]).any()
