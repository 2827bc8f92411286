"""Files that are there whole or not at all."""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, text: str, *, mode: int | None = None) -> None:
    """Write a text file in place of an older one, if any; nothing is left of one that could not be written.

    Args:
        path: The file, in a folder that exists.
        text: What it holds; its lines end as they do in the text.
        mode: Its permissions; those of any new file without them.

    Raises:
        OSError: It cannot be written.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        if mode is None:
            # A temporary file is its owner's alone.
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
