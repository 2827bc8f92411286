"""Runs a training job's container in the foreground: its output is the log, its exit code the process's.

SIGTERM goes to the engine's client, which is in the same process group and hands it on to the container. The engine
runs the container on when its client is killed; a watcher in a session of its own removes it then, however this
process and the endpoint have ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from ..containers import INSTRUCTIONS

# Waits for the end of its input, which has a byte in it when the container has ended by itself.
_WATCHER = """\
import subprocess, sys
if not sys.stdin.buffer.read(1):
    for words in (["kill"], ["rm", "--force"]):
        subprocess.run([sys.argv[1], *words, sys.argv[2]], capture_output=True, check=False)
"""


def main() -> int:
    """Run the container; the exit code is its own."""
    instructions: dict[str, Any] = json.loads(os.environ[INSTRUCTIONS])
    # A handler, unlike SIG_IGN, does not outlive the client's exec.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHER, instructions["engine"], instructions["name"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    code = subprocess.Popen(instructions["command"]).wait()
    watcher.communicate(b"0")
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
