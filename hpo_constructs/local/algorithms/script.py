"""Script mode: runs a user's own script as the framework images do (scikit-learn, PyTorch, TensorFlow, XGBoost, ...).

The archive that the hyperparameter ``sagemaker_submit_directory`` names is unpacked into the ``code`` folder and the
script that ``sagemaker_program`` names is run there, with the other hyperparameters as arguments. It imports the
packages of the endpoint's environment, and before them those of its ``requirements.txt``.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/docker-containers-adapt-your-own.html and
https://github.com/aws/sagemaker-training-toolkit
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import tarfile
import traceback
from pathlib import Path
from typing import NoReturn

from ..requirements import RequirementsError, cache_folder, python_with
from ..training import MlFolder

_PREPARED = "HPO_LOCAL_SOURCE_PREPARED"


def main() -> int:
    """Run the script; the exit code is its own."""
    folder = MlFolder(Path(os.environ["HPO_LOCAL_ML_ROOT"]))
    program, arguments = os.environ["SM_USER_ENTRY_POINT"], json.loads(os.environ["SM_USER_ARGS"])
    if _PREPARED not in os.environ and (code := _prepare(folder, program)) != 0:
        return code
    os.chdir(folder.code)
    if not program.endswith(".py"):
        code = subprocess.run(["/bin/sh", program, *arguments], check=False).returncode
        return 0 if code == 0 else _fail(folder, f"ExecuteUserScriptError: ExitCode {code}", code)
    return _run_python(folder, program, arguments)


def _prepare(folder: MlFolder, program: str) -> int:
    """Unpack the source and have the packages that it requires; give an exit code, 0 when the script can run."""
    try:
        with tarfile.open(folder.root / "sourcedir.tar.gz") as archive:
            archive.extractall(folder.code, filter="data")
    except tarfile.TarError as error:
        return _fail(folder, f"Customer Error: sagemaker_submit_directory must be a gzipped tar archive: {error}", 1)
    if not (folder.code / program).is_file():
        return _fail(folder, f"Customer Error: sagemaker_program {program!r} is not in the source archive", 1)
    requirements = folder.code / "requirements.txt"
    if not requirements.is_file():
        return 0
    try:
        python = python_with(requirements, cache_folder())
    except RequirementsError as error:
        code = error.exit_code
        return _fail(folder, f'InstallRequirementsError: ExitCode {code} ErrorMessage "{error}"', code)
    if python is not None:
        _go_on_in(python)
    return 0


def _go_on_in(python: Path) -> NoReturn:
    """Run this module once more, in a Python that has the script's packages."""
    variables = os.environ | {
        _PREPARED: "1",
        "VIRTUAL_ENV": str(python.parent.parent),
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    # -P: what the user's folder has must not stand in for what this module imports.
    os.execve(python, [str(python), "-P", "-m", f"{__package__}.script"], variables)  # noqa: S606 - no shell


def _run_python(folder: MlFolder, program: str, arguments: list[str]) -> int:
    sys.argv = [program, *arguments]
    sys.path.insert(0, str(folder.code))
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as ending:
        if ending.code is None or ending.code == 0:
            return 0
        code = ending.code if isinstance(ending.code, int) else 1
        said = "" if isinstance(ending.code, int) else f' ErrorMessage "{ending.code}"'
        return _fail(folder, f"ExecuteUserScriptError: ExitCode {code}{said}", code)
    except BaseException as error:
        traceback.print_exc()
        return _fail(folder, f'ExecuteUserScriptError: ExitCode 1 ErrorMessage "{type(error).__name__}: {error}"', 1)
    return 0


def _fail(folder: MlFolder, reason: str, code: int) -> int:
    """Tell the reason in the failure file, unless the script itself has told one."""
    print(reason, flush=True)
    if folder.failure() is None:
        (folder.output / "failure").write_text(reason)
    return code


if __name__ == "__main__":
    sys.exit(main())
