"""How much memory a plan may use."""

import shlex

import pytest

from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.cli.conf_files import COMMANDS
from brats_unet.errors import MachineError
from brats_unet.hardware import Gpu
from brats_unet.trial import memory_limit as module
from brats_unet.trial.memory_limit import memory_limit


@pytest.fixture
def settings():
    request = arguments.split(shlex.split("plan data.root=x"))
    return bind(COMMANDS["plan"], hydra.settings_of(request, checks.checked(request)))


def gpu(gib):
    return Gpu("card", gib * 2**30, gib * 2**30)


def test_a_cpu_may_use_half_of_the_free_memory_but_at_most_4_gib(monkeypatch, settings):
    monkeypatch.setattr(module, "gpu_count", lambda: 0)
    monkeypatch.setattr(module, "memory_available_bytes", lambda: 6 * 2**30)
    assert (memory_limit(settings).bytes, memory_limit(settings).gpu) == (3 * 2**30, False)
    monkeypatch.setattr(module, "memory_available_bytes", lambda: 600 * 2**30)
    assert memory_limit(settings).bytes == 4 * 2**30


def test_a_gpu_may_use_90_percent_of_the_smallest_gpu(monkeypatch, settings):
    monkeypatch.setattr(module, "gpu_count", lambda: 2)
    monkeypatch.setattr(module, "gpus", lambda: [gpu(80), gpu(40)])
    limit = memory_limit(settings)
    assert (limit.bytes, limit.replicas, limit.precision) == (round(0.9 * 40 * 2**30), 2, "bfloat16")


def test_a_gpu_of_unknown_memory_is_refused(monkeypatch, settings):
    monkeypatch.setattr(module, "gpu_count", lambda: 2)
    monkeypatch.setattr(module, "gpus", list)
    with pytest.raises(MachineError, match="Give it as memory_gib"):
        memory_limit(settings)
