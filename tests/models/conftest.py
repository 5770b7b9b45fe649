"""What tests of several networks share."""

import os

import keras
import pytest

from brats_unet.hardware import cpu_has_bfloat16


@pytest.fixture
def zero_weights(monkeypatch):
    """Networks start from zeros: a hundred million random numbers take seconds, and their number is what counts."""
    monkeypatch.setattr(keras.initializers, "HeNormal", lambda seed: keras.initializers.Zeros())


@pytest.fixture
def onednn_has_bfloat16():
    """Skip the test where ONEDNN_MAX_CPU_ISA forbids bfloat16: TensorFlow sends it to oneDNN all the same, which fails.

    On a processor that lacks it, TensorFlow computes bfloat16 itself, and the test runs.
    """
    if os.environ.get("ONEDNN_MAX_CPU_ISA") and not cpu_has_bfloat16():
        pytest.skip("ONEDNN_MAX_CPU_ISA forbids bfloat16, which TensorFlow sends to oneDNN on this processor")
