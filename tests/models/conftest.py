"""What tests of several networks share."""

import keras
import pytest


@pytest.fixture
def zero_weights(monkeypatch):
    """Networks start from zeros: a hundred million random numbers take seconds, and their number is what counts."""
    monkeypatch.setattr(keras.initializers, "HeNormal", lambda seed: keras.initializers.Zeros())
