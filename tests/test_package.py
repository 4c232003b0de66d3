"""The wheel, installed away from the checkout: nothing it needs is left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import freerecall

CHECKOUT = Path(freerecall.__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the built wheel was installed in."""
    built, target = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("installed")
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(CHECKOUT), cwd=built)
    (wheel,) = built.glob("freerecall-*.whl")
    python(
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(target),
        str(wheel),
        cwd=built,
    )
    return target


def python(*arguments: str, cwd: Path, **extra: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **extra},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_it_holds_every_file_of_the_package(installed: Path) -> None:
    assert files(CHECKOUT / "service" / "freerecall") <= files(installed / "freerecall")


@pytest.mark.parametrize("name", ["prompts", "deck"])
def test_bundled_files_are_found_inside_it(installed: Path, name: str, tmp_path: Path) -> None:
    script = f"from freerecall.resources import folder; print(folder({name!r}))"
    found = Path(python("-c", script, cwd=tmp_path, PYTHONPATH=str(installed)).strip())

    assert found.is_relative_to(installed)
    assert files(found) == files(CHECKOUT / name)
    assert files(found)


def test_its_command_works(installed: Path, tmp_path: Path) -> None:
    command = str(installed / "bin" / "freerecall")

    version = python(command, "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    decks = python(command, "decks", cwd=tmp_path, PYTHONPATH=str(installed))

    assert version == f"freerecall {freerecall.__version__}\n"
    assert "mlops" in decks
