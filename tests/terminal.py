"""The command line, run as a user runs it but within this process."""

import io
import sys
from dataclasses import dataclass

import pytest

from freerecall.cli import main


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


class Terminal:
    """Calls `freerecall` with arguments; its streams are plain ones, no terminal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: object, typed: str = "") -> Done:
        self._monkeypatch.setattr(sys, "argv", ["freerecall", *map(str, arguments)])
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = self._capsys.readouterr()
        code = stopped.value.code
        return Done(code if isinstance(code, int) else 0, out, err)
