"""Files that the wizard writes: templates below one folder, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path, PurePosixPath

from ..errors import HpoError

# Names that are files everywhere and hidden nowhere.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_SUFFIXES = (".yaml", ".yml")


class ExistsError(HpoError):
    """There is such a file already.

    Attributes:
        digest: What it holds now, as a digest: stating it is consent to replace just that.
    """

    def __init__(self, message: str, digest: str) -> None:
        super().__init__(message)
        self.digest = digest


def place(folder: Path, name: str) -> Path:
    """Where a template of that name stands.

    Args:
        folder: The folder that templates stay below.
        name: The file's name, or its path below the folder, with slashes.

    Raises:
        HpoError: It is not the name of a YAML file below the folder.
    """
    parts = PurePosixPath(name).parts
    right = bool(parts) and not name.startswith("/") and all(_PART.fullmatch(part) for part in parts)
    if not right or not name.endswith(_SUFFIXES):
        raise HpoError(
            f"the file must be a name such as churn.yaml or team/churn.yaml, of letters, digits, '.', '_' and '-', "
            f"got {name[:100]!r}"
        )
    path = folder.joinpath(*parts)
    # A link may lead out of the folder.
    if not path.parent.resolve().is_relative_to(folder.resolve()) or path.is_symlink():
        raise HpoError(f"{name} would be written outside of {folder}, through a link; choose another name")
    if not path.parent.is_dir():
        raise HpoError(f"there is no folder {path.parent}; make it first, or choose another name")
    return path


def write(folder: Path, name: str, text: str, *, replacing: str | None = None) -> Path:
    """Write a template; the path of its file.

    Args:
        folder: The folder that templates stay below.
        name: The file's name below it.
        text: The template.
        replacing: The digest of the file that may be replaced; none may be without it.

    Raises:
        ExistsError: There is a file, or it is no longer the one that may be replaced.
        HpoError: The name is not right, or the file cannot be written.
    """
    path = place(folder, name)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        try:
            with part.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            if replacing is not None and path.exists() and replacing == _digest(path):
                part.replace(path)
            else:
                # Unlike a rename, a link never replaces what has come into being in between.
                os.link(part, path)
        finally:
            part.unlink(missing_ok=True)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise HpoError(f"{path} cannot be written: {error.strerror or error}") from None
    return path


def _exists(path: Path) -> HpoError:
    try:
        digest = _digest(path)
    except OSError:
        return HpoError(f"{path} is there already and is no file that can be read; choose another name")
    return ExistsError(f"{path} is there already; replace it only if it is an older version", digest)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
