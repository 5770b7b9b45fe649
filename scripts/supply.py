"""What the environment of this project is made of: a lock file with hashes, and the licence of every package.

    python scripts/supply.py    (make lock) writes requirements.lock for this Python and system, and docs/LICENCES.md
    make audit                  asks the registry for known vulnerabilities of the locked packages (needs pip-audit)

`pip install --require-hashes -r requirements.lock && pip install --no-deps .` installs exactly these files. The hashes
are those of the wheels for the Python and system named in the first line; on another one, run `make lock` first.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK, LICENCES = ROOT / "requirements.lock", ROOT / "docs" / "LICENCES.md"
RUNTIME = "brats-unet"  # without extras: what a user installs
CLASSIFIER = "License :: OSI Approved :: "


def resolved(extras: str) -> list[dict[str, Any]]:
    """Every package that `pip install .[extras]` takes, as pip reports it."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    target = f".[{extras}]" if extras else "."
    done = subprocess.run(
        [*command, "-c", "constraints.txt", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"pip cannot resolve {target}:\n{done.stderr}")
    return json.loads(done.stdout)["install"]


def lock_text(packages: list[dict[str, Any]], system: str) -> str:
    """requirements.lock: one package a line, by name, with the hash of its file.

    Args:
        packages: As `resolved` gives them.
        system: Python and system that the files are for.
    """
    lines = []
    for package in packages:
        name = package["metadata"]["name"]
        if name != RUNTIME:
            digest = package["download_info"]["archive_info"]["hashes"]["sha256"]
            lines.append(f"{name.lower()}=={package['metadata']['version']} --hash=sha256:{digest}")
    head = f"# {system}. Written by `make lock`: pip install --require-hashes -r requirements.lock\n"
    return head + "\n".join(sorted(lines)) + "\n"


def locked(text: str) -> dict[str, str]:
    """Versions by name of a lock file."""
    found = re.findall(r"^([^=#\s]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    return dict(found)


def licence(about: Message) -> str:
    """The licence in a package's metadata: SPDX expression, else classifiers, else the first line of its text."""
    if expression := about.get("License-Expression"):
        return expression
    classified = [
        one.removeprefix(CLASSIFIER) for one in about.get_all("Classifier") or [] if one.startswith(CLASSIFIER)
    ]
    text = (about.get("License") or "").strip().splitlines()
    return ", ".join(classified) or (text[0].strip() if text else "not stated")


def licence_table(versions: Mapping[str, str], runtime: set[str]) -> str:
    """docs/LICENCES.md: package, version, licence, and whether a user needs it or only a developer or an extra."""
    rows = []
    for name in sorted(versions):
        try:
            words = licence(metadata(name))
        except PackageNotFoundError:
            sys.exit(f"{name} is not installed here. Run `make setup`, then `make lock` again.")
        needed = "brats-unet" if name in runtime else "extras, tests"
        rows.append(f"| {name} | {versions[name]} | {words.replace('|', '/')} | {needed} |")
    return (
        "# Licences of the dependencies\n\n"
        "Written by `make lock` from the metadata of the packages. Those of *brats-unet* are installed with it; the "
        "others come with\nextras or are for development. The page of `report` holds NiiVue (BSD-2, "
        "`brats_unet/report/vendor/LICENSE.niivue`).\n\n"
        "| package | version | licence | needed by |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    everything, runtime = resolved("dev"), resolved("")
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    LOCK.write_text(lock_text(everything, system), encoding="utf-8")
    names = {package["metadata"]["name"].lower() for package in runtime}
    LICENCES.write_text(licence_table(locked(LOCK.read_text(encoding="utf-8")), names), encoding="utf-8")
    print(f"Written: {LOCK.name}, {LICENCES.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
