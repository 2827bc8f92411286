"""Ends what the local endpoint's server started when the server itself is gone.

The server starts this file as a script and keeps the other end of its standard input open. When the server
ends, in whatever way (``kill -9`` included), the input closes and every process that the server left behind is
killed: Lambda workers, training processes and whatever they started, as long as they stayed in the server's
session (or process group, where the server does not lead a session of its own). Then the server's temporary folder
is removed.
"""

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path


def members(leader: int, *, by_session: bool) -> list[int]:
    """The live processes of a session or process group, without the calling process and the leader."""
    proc = Path("/proc")
    if not proc.is_dir():
        return []
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdigit() or int(entry.name) in {os.getpid(), leader}:
            continue
        try:
            # The command's name may hold spaces and brackets: fields are counted from the last bracket.
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        state, group, session = fields[0], int(fields[2]), int(fields[3])
        if state != "Z" and leader == (session if by_session else group):
            found.append(int(entry.name))
    return found


def end_members(leader: int, *, by_session: bool) -> None:
    """Kill the processes of a session or process group, without the calling process and the leader."""
    # Processes may fork while they are being killed: look again until none is left.
    for _ in range(5):
        pids = members(leader, by_session=by_session)
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def main(argv: list[str]) -> None:
    leader, by_session = int(argv[1]), argv[2] == "session"
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    while os.read(0, 1024):
        pass
    end_members(leader, by_session=by_session)
    for folder in argv[3:]:
        shutil.rmtree(folder, ignore_errors=True)
    if not Path("/proc").is_dir():
        # Without /proc the group is all that can be found; it includes this process.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv)
