"""The installed wheel works from another folder, without the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel and a folder where it is installed; built offline from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("brats_unet", "conf", "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(source)], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [
        *pip,
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(folder),
        str(source),
    ]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site"
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True)
    return wheel, target


def run(installed, *arguments, cwd):
    environment = os.environ | {"PYTHONPATH": str(installed[1]), "CUDA_VISIBLE_DEVICES": ""}
    program = [sys.executable, str(installed[1] / "bin" / "brats-unet"), *arguments]
    return subprocess.run(program, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_holds_every_config_file_and_module_and_no_test(installed):
    names = set(zipfile.ZipFile(installed[0]).namelist())
    settings = {f"brats_unet/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.yaml")}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "brats_unet").rglob("*.py")}
    assert settings | modules | {"brats_unet/py.typed"} <= names
    assert not any(name.startswith(("tests/", "conf/")) for name in names)


def test_the_installed_command_prints_help_from_another_folder(installed, tmp_path):
    result = run(installed, "--help", cwd=tmp_path)
    assert result.returncode == 0 and "Commands" in result.stdout


def test_the_installed_command_composes_its_own_settings_from_another_folder(installed, tmp_path):
    code = f"import brats_unet; assert brats_unet.__file__.startswith({str(installed[1])!r})"
    subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(installed[1])}, cwd=tmp_path, check=True
    )
    result = run(installed, "train", "--cfg", "job", cwd=tmp_path)
    assert result.returncode == 0 and "experiment: quick" in result.stdout
    assert list(tmp_path.iterdir()) == []
