"""docs/ARCHITECTURE.md and the public surface, held against the code."""

import ast
import functools
import importlib
import re
import tomllib
from pathlib import Path

import pytest

import brats_unet

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "brats_unet"
PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")


def section(heading):
    return re.split(r"^## ", PAGE.split(f"## {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@functools.cache
def trees():
    """Syntax tree of each module of the package, by its dotted name without "brats_unet."."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def defined(module):
    """Public names that a module defines at its top level, and whether each is a function or class."""
    names = {}
    for node in trees()[module].body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = True
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = False
        elif isinstance(node, ast.Assign):
            names |= {target.id: False for target in node.targets if isinstance(target, ast.Name)}
    return {name: code for name, code in names.items() if not name.startswith("_")}


@functools.cache
def used():
    """(module, name) of everything that the package's own code imports from, or reads in, the module that defines it."""
    found = set()
    for module, tree in trees().items():
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("brats_unet"):
                source = node.module.removeprefix("brats_unet").lstrip(".")
                for alias in node.names:
                    found.add((source, alias.name))
                    modules[alias.asname or alias.name] = f"{source}.{alias.name}".lstrip(".")
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.add((module, node.id))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found.add((modules.get(node.value.id), node.attr))
    return found


def seams():
    return re.findall(r"^\| `([\w.]+)` \|", section("Seams"), re.MULTILINE)


def test_the_layers_are_those_that_import_linter_holds():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract for contract in contracts if contract.get("containers") == ["brats_unet"])
    assert layers["exhaustive"] is True
    assert re.search(r"```\n(.*?)```", section("Layers"), re.DOTALL)[1].splitlines() == layers["layers"]


def test_every_folder_and_module_of_the_top_level_is_on_the_page():
    named = set(re.findall(r"`([\w/]+?)(?:/|\.py)`", section("Folders")))
    folders = {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("__init__.py")} - {"."}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert named == folders | modules


def test_the_modules_of_the_picture_exist():
    picture = re.search(r"```\n(.*?)```", PAGE, re.DOTALL)[1]
    arrows = set(re.findall(r"--(\w+)--", picture))
    assert arrows and arrows <= {name.rsplit(".", 1)[-1] for name in trees()}


@pytest.mark.parametrize("seam", seams())
def test_a_seam_that_is_named_exists_and_production_code_calls_it(seam):
    module, _, name = seam.rpartition(".")
    assert name in defined(module), f"{module} defines no {name}"
    assert (module, name) in used(), f"nothing in brats_unet uses {seam}"


def test_what_only_tests_call_is_not_there():
    public = {(module.removeprefix("brats_unet."), name) for name, module in brats_unet.PUBLIC.items()}
    by_name = {(f"commands.{path.stem}", "main") for path in (PACKAGE / "commands").glob("*.py")}
    by_name.add(("commands.plan", "plan_if_missing"))  # train plan=auto
    unused = {
        f"{module}.{name}"
        for module in trees()
        for name, code in defined(module).items()
        if code and (module, name) not in used() | public | by_name
    }
    assert unused == set()


# The public surface


@pytest.mark.parametrize("name", brats_unet.PUBLIC)
def test_a_public_name_is_given_by_the_package_itself_and_says_what_it_is(name):
    given = getattr(brats_unet, name)
    assert given is getattr(importlib.import_module(brats_unet.PUBLIC[name]), name)
    assert (given.__doc__ or "").strip()


def test_the_public_surface_is_listed_in_one_place():
    assert set(brats_unet.__all__) == set(brats_unet.PUBLIC) | {"__version__"}
    assert set(brats_unet.__all__) <= set(dir(brats_unet))


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'laod'"):
        _ = brats_unet.laod
