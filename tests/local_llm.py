"""A real, small language model on this machine, started once for all tests that want it.

Skipped with the reason where the model or the package that runs it cannot be had. The model's server
runs under FREERECALL_LOCAL_LLM_PYTHON, or this Python.
"""

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVE = Path(__file__).parents[2] / "shared" / "local-llm" / "serve.py"
PYTHON = os.environ.get("FREERECALL_LOCAL_LLM_PYTHON") or sys.executable
READY_S = 120


@pytest.fixture(scope="session")
def local_llm() -> Iterator[str]:
    if not SERVE.is_file():
        pytest.skip(f"no {SERVE.name} beside the checkout to run a local model with")
    found = subprocess.run([PYTHON, "-c", "import xllamacpp"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("no xllamacpp to run a local model: name a Python with it in FREERECALL_LOCAL_LLM_PYTHON")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [PYTHON, str(SERVE), "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_first_line, args=(server.stdout, lines), daemon=True).start()
    try:
        line = lines.get(timeout=READY_S)
        if not line.startswith("ready: "):
            pytest.skip("the local model cannot be had: its server ended before it was ready")
        yield line.removeprefix("ready: ").strip()
    except queue.Empty:
        pytest.skip(f"the local model was not ready within {READY_S} s")
    finally:
        server.terminate()
        server.wait()


def _first_line(stream: Iterator[str], lines: queue.Queue[str]) -> None:
    """Put the first line that says "ready:", or "" at the end of the stream."""
    lines.put(next((line for line in stream if line.startswith("ready: ")), ""))
