"""Script mode: runs a user's own script as the framework images do (scikit-learn, PyTorch, TensorFlow, XGBoost, ...).

The archive that the hyperparameter ``sagemaker_submit_directory`` names is unpacked into the ``code`` folder and the
script that ``sagemaker_program`` names is run there, with the other hyperparameters as arguments. The packages that it
imports must be in the environment of the endpoint: a ``requirements.txt`` is not installed.

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

from ..training import MlFolder


def main() -> int:
    """Run the script; the exit code is its own."""
    folder = MlFolder(Path(os.environ["HPO_LOCAL_ML_ROOT"]))
    program, arguments = os.environ["SM_USER_ENTRY_POINT"], json.loads(os.environ["SM_USER_ARGS"])
    try:
        with tarfile.open(folder.root / "sourcedir.tar.gz") as archive:
            archive.extractall(folder.code, filter="data")
    except tarfile.TarError as error:
        return _fail(folder, f"Customer Error: sagemaker_submit_directory must be a gzipped tar archive: {error}", 1)
    if not (folder.code / program).is_file():
        return _fail(folder, f"Customer Error: sagemaker_program {program!r} is not in the source archive", 1)
    if (folder.code / "requirements.txt").exists():
        print("WARNING: requirements.txt is not installed on this machine; its packages must be there", flush=True)
    os.chdir(folder.code)
    if not program.endswith(".py"):
        code = subprocess.run(["/bin/sh", program, *arguments], check=False).returncode
        return 0 if code == 0 else _fail(folder, f"ExecuteUserScriptError: ExitCode {code}", code)
    return _run_python(folder, program, arguments)


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
