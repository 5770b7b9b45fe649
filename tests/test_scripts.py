"""Every script under scripts/ can be started or imported, and every name that it imports from brats_unet exists."""

import ast
import runpy
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Installed only in the environment of scripts/peers.sh: scripts that import one at the top cannot run here.
PEERS = frozenset(
    {"dynamic_network_architectures", "medpy", "monai", "nnunetv2", "panoptica", "surface_distance", "torch"}
)
TREES = {
    str(path.relative_to(ROOT / "scripts")): compile(path.read_text(encoding="utf-8"), path, "exec", ast.PyCF_ONLY_AST)
    for path in sorted((ROOT / "scripts").rglob("*.py"))
}


def packages(nodes) -> set[str]:
    """Names of the packages that some statements import."""
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


FOR_PEERS = [name for name, tree in TREES.items() if packages(tree.body) & PEERS]
WITH_HELP = [
    name
    for name, tree in TREES.items()
    if name not in FOR_PEERS
    and ("argparse" in packages(tree.body) or "--help" in (ROOT / "scripts" / name).read_text(encoding="utf-8"))
]


@cache
def top_level_names(module: str) -> frozenset[str]:
    """Names that a module of brats_unet defines, and its submodules; read from the source, without importing it."""
    folder = ROOT.joinpath(*module.split("."))
    names = {path.stem for path in folder.iterdir()} if folder.is_dir() else set()
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.add(statement.name)
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names |= {alias.asname or alias.name for alias in node.names}
    return frozenset(names)


@pytest.mark.parametrize("name", TREES)
def test_every_name_that_a_script_imports_from_brats_unet_exists(name):
    imported = [
        (node.module, alias.name)
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "brats_unet"
        for alias in node.names
    ]
    assert [f"{module}.{known}" for module, known in imported if known not in top_level_names(module)] == []


@pytest.mark.parametrize("name", WITH_HELP)
def test_help_prints_the_description_with_the_command(name, monkeypatch, capsys):
    monkeypatch.syspath_prepend((ROOT / "scripts" / name).parent)  # as Python does, for modules beside the script
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "scripts" / name), run_name="__main__")
    assert end.value.code == 0
    assert f"python scripts/{name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in TREES if name not in {*FOR_PEERS, *WITH_HELP}])
def test_scripts_without_options_can_be_imported(name, monkeypatch):
    monkeypatch.syspath_prepend((ROOT / "scripts" / name).parent)
    assert runpy.run_path(str(ROOT / "scripts" / name))["__doc__"] == ast.get_docstring(TREES[name], clean=False)


def test_only_the_scripts_for_the_environment_of_the_peers_are_not_run_here():
    assert set(FOR_PEERS) == {
        "bench/peers/augment_nnunet.py",
        "bench/peers/metrics.py",
        "bench/peers/predict.py",
        "bench/peers/train_step.py",
        "parity/brats2023.py",
        "parity/foreground_parity.py",
        "parity/metrics_parity.py",
        "parity/peers/brats2026.py",
        "parity/peers/networks.py",
        "parity/peers/training.py",
        "parity/sampling_parity.py",
        "peers/duel_nnunet.py",
        "peers/duel_trainer.py",
    }
