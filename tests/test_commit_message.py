"""The hook that `make setup` installs for commit messages."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOOK = ROOT / "scripts" / "hooks" / "commit-msg"
EVIDENCE = "On 8 held-out phantoms, three seeds, mean Dice rises from 0.812 to 0.824 (95 % interval +0.004 to +0.019)."


def complaints(message, tmp_path):
    """What the hook prints about a message; "" if it accepts it."""
    file = tmp_path / "COMMIT_EDITMSG"
    file.write_text(message, encoding="utf-8")
    done = subprocess.run(["bash", str(HOOK), str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr


@pytest.mark.parametrize(
    "message",
    [
        "metrics: Take HD95 per direction, not pooled\n\nEffect: none\n",
        f"losses: Count batch Dice over replicas\n\n{EVIDENCE}\n\nEffect: scores\n",
        f"bench/predict_many: Pass cases in one call\n\n{EVIDENCE}\nEffect: speed\n",
        "README: Name the card\n\nWhy it matters.\n\nCo-authored-by: A <a@b>\nEffect: files\n",
        "# a comment of git\nnifti: Focus on the header\n\nEffect: none\n# Please enter the commit message\n",
        "Merge branch 'next'\n",
        'Revert "metrics: Take HD95 per direction"\n',
        "fixup! metrics: Take HD95 per direction\n",
    ],
)
def test_a_message_in_the_style_of_the_project_is_accepted(message, tmp_path):
    assert complaints(message, tmp_path) == ""


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (f"metrics: Take {'x' * 70}\n\nEffect: none\n", "The subject has 84 characters. Expected 72 at most."),
        ("Take HD95 per direction\n\nEffect: none\n", 'Found "Take HD95 per direction". Expected "area: Imperative …"'),
        ("metrics: take HD95 per direction\n\nEffect: none\n", 'Expected "area: Imperative …"'),
        ("metrics: The HD95 per direction\n\nEffect: none\n", '"The" is no order.'),
        ("metrics: Takes HD95 per direction\n\nEffect: none\n", '"Takes" is no order.'),
        ("metrics: Taking HD95 per direction\n\nEffect: none\n", '"Taking" is no order.'),
        ("metrics: Added HD95 per direction\n\nEffect: none\n", '"Added" is no order.'),
        ("metrics: Take HD95 per direction\n", 'There is no trailer "Effect:'),
        ("metrics: Take HD95 per direction\n\nEffect: big\n", "Effect: big is unknown."),
        ("metrics: Take HD95 per direction\n\nEffect: scores\n", "Effect: scores needs the evidence"),
        ("metrics: Take HD95 per direction\n\nFaster.\n\nEffect: speed\n", "Effect: speed needs the evidence"),
        ("\n", 'There is no trailer "Effect:'),
    ],
)
def test_any_other_message_is_refused_with_what_was_expected(message, complaint, tmp_path):
    assert complaint in complaints(message, tmp_path)


def test_git_itself_refuses_a_commit_by_it(tmp_path):
    def git(*arguments):
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        alone = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        return subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)

    git("init", "--quiet")
    (tmp_path / ".git" / "hooks").mkdir(exist_ok=True)
    (tmp_path / ".git" / "hooks" / "commit-msg").symlink_to(HOOK)
    refused = git("commit", "--allow-empty", "-m", "Some change")
    assert refused.returncode != 0 and "does not follow CONTRIBUTING.md" in refused.stderr
    assert git("commit", "--allow-empty", "-m", "docs: Say more\n\nEffect: none").returncode == 0


def test_setup_installs_it():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^\$\(READY\):.*\n(\t.*\n)*?\t@scripts/hooks/install\n", makefile, re.MULTILINE)
