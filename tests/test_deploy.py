"""The container file and the unit say what the service needs, and nothing that is not there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from freerecall.settings import VARIABLES

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "deploy" / "freerecall.service"


def test_the_container_file_copies_what_is_there() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    kept = [line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / path).exists() for path in kept)
    assert "requirements/service.txt" in kept
    assert "--require-hashes" in text
    assert re.search(r"^USER (?!root)\w+", text, re.MULTILINE)
    assert set(re.findall(r"FREERECALL_\w+", text)) <= set(VARIABLES)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
def test_the_unit_is_sound_and_tight(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert set(re.findall(r"FREERECALL_\w+", text)) <= set(VARIABLES)
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("/opt/freerecall/bin/freerecall", "/bin/true"))
    found = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=25", unit],
        capture_output=True,
        text=True,
    )
    assert rated.returncode == 0, rated.stdout[-300:]
