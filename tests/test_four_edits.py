"""A new network, loss, metric or augmentation is its file, a line in the table, a YAML file and a test file.

Made in a copy of the tree with the parts of the example package, which CONTRIBUTING.md shows; then the contract tests
of the copy must pass. A metric needs no YAML file; the tables of docs/METRICS.md are rewritten by their script.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "tests" / "example_package"
COPIED = (
    "brats_unet",
    "conf",
    "tests",
    "scripts",
    "docs",
    "pyproject.toml",
    "README.md",
    "CONTRIBUTING.md",
    "Makefile",
)

# Package, file of the example, name of the part, its import, the table, and a test of its own.
PARTS = {
    "network": (
        "models",
        "shallow",
        "shallow",
        "shallow",
        "MODELS",
        """
def test_it_halves_the_grid_once():
    assert describe("shallow", {}).stride == (2, 2, 2)
""",
        "from brats_unet.models import describe\n",
    ),
    "loss": (
        "losses",
        "weighted_bce",
        "region_weighted_bce",
        "region_weighted_bce",
        "LOSSES",
        """
def test_one_voxel_of_all_regions_counts_twice_by_hand():
    logits, masks = ops.zeros((1, 1, 1, 2, 3)), ops.stack([ops.ones(3), ops.zeros(3)])[None, None, None]
    found = ops.convert_to_numpy(LOSSES["region_weighted_bce"](weight=2.0).per_sample(logits, masks))
    assert found == pytest.approx([1.5 * math.log(2)])
""",
        "import math\n\nimport pytest\nfrom keras import ops\n\nfrom brats_unet.losses import LOSSES\n",
    ),
    "augmentation": (
        "data/augment",
        "brighten",
        "brighten",
        "brighten",
        "AUGMENTATIONS",
        """
def test_it_takes_two_numbers():
    assert AUGMENTATIONS["brighten"]().uniforms == 2
""",
        "from brats_unet.data.augment import AUGMENTATIONS\n",
    ),
    "metric": (
        "metrics",
        "volume_similarity",
        "volume_similarity",
        "VOLUME_SIMILARITY",
        "METRICS",
        """
def test_two_voxels_and_one_are_two_thirds_alike():
    two, one = np.ones((2, 1, 1), bool), np.array([[[True]], [[False]]])
    pair = MaskPair(two, one, (1.0, 1.0, 1.0), PROTOCOLS["brats2020"])
    assert METRICS["volume_similarity"].function(pair) == pytest.approx(2 / 3)
""",
        "import numpy as np\nimport pytest\n\nfrom brats_unet.metrics import METRICS\n"
        "from brats_unet.metrics.pair import MaskPair\nfrom brats_unet.metrics.protocols import PROTOCOLS\n",
    ),
}


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the tree with one part of each kind more, made by the edits that CONTRIBUTING.md names and no other."""
    tree = tmp_path_factory.mktemp("extended")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    for package, file, name, symbol, table, test, imports in PARTS.values():
        folder = tree / "brats_unet" / package
        shutil.copy(EXAMPLE / "brats_unet_example" / f"{file}.py", folder)
        door = folder / "__init__.py"
        text = door.read_text()
        module = f"brats_unet.{package.replace('/', '.')}.{file}"
        text = re.sub(rf"^({table}: .*)$", rf'\1\n    "{name}": {symbol},', text, count=1, flags=re.MULTILINE)
        text = text.replace("\nfrom brats_unet", f"\nfrom {module} import {symbol}\nfrom brats_unet", 1)
        door.write_text(text)
        (tree / "tests" / package / f"test_{file}.py").write_text(f"{imports}\n{test}")
    shutil.copytree(EXAMPLE / "conf", tree / "conf", dirs_exist_ok=True)
    run(tree, "scripts/metrics_tables.py")
    return tree


def run(tree, *command):
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def pytest_in(tree, *arguments):
    return run(tree, "-m", "pytest", "-p", "no:cacheprovider", "-x", *arguments)


def test_the_contract_tests_pass_for_a_new_part_of_each_kind(extended):
    files = [f"tests/{package}/test_{file}.py" for package, file, *_ in PARTS.values()]
    contracts = [
        "tests/models/test_every_network.py",
        "tests/losses/test_every_loss.py",
        "tests/metrics/test_every_metric.py",
        "tests/data/augment/test_every_augmentation.py",
    ]
    names = " or ".join([*(name for _, _, name, *_ in PARTS.values()), *(Path(file).stem for file in files)])
    listing = pytest_in(extended, *files, *contracts, "-k", names, "-v")
    for _, _, name, *_ in PARTS.values():
        contract = [line for line in listing.splitlines() if "/test_every_" in line and name in line]
        assert len(contract) >= 3 and all("PASSED" in line for line in contract), name
    assert all(f"{file}::" in listing for file in files)


def test_the_settings_and_the_document_of_a_new_part_are_whole(extended):
    choices = ["model=shallow", "loss=region_weighted_bce", "augmentation=brighten"]
    house = [
        *(f"test_every_choice_composes_and_fits_its_dataclass[train {choice}]" for choice in choices),
        "test_every_setting_says_what_it_means[train]",
        "test_every_choice_and_command_opens_with_one_line_that_says_what_it_is[train]",
        "test_every_module_says_what_it_is",
        "test_public_functions_and_classes_say_what_they_are",
        "test_networks_losses_and_augmentation_do_not_import_tensorflow",
        "test_scoring_starts_without_tensorflow_and_keras",
    ]
    pytest_in(extended, *(f"tests/test_house.py::{name}" for name in house), "tests/metrics/test_glossary.py")
    assert "| `volume_similarity` | One minus" in (extended / "docs" / "METRICS.md").read_text()


@pytest.mark.slow
def test_no_test_breaks_by_a_new_part_of_each_kind(extended):
    pytest_in(extended, "tests/models", "tests/losses", "tests/metrics", "tests/data/augment", "tests/test_plugins.py")
    pytest_in(extended, "tests/evaluation", "tests/report", "tests/assembly", "tests/commands", "tests/cli")


# CONTRIBUTING.md


def test_the_parts_that_contributing_shows_are_those_of_the_example_package():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = re.findall(r"\[`(tests/example_package/\S+)`\][^`]*?\n\n```\w+\n(.*?)```", text, re.DOTALL)
    assert {Path(path).stem for path, _ in shown} >= {file for _, file, *_ in PARTS.values()}
    for path, code in shown:
        assert (ROOT / path).read_text(encoding="utf-8") == code, path


def test_every_module_of_the_example_is_about_twenty_lines_of_code():
    for _, file, *_ in PARTS.values():
        lines = (EXAMPLE / "brats_unet_example" / f"{file}.py").read_text().splitlines()
        assert len([line for line in lines if line.strip() and '"""' not in line]) <= 24, file
