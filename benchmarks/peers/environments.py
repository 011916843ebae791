"""Environments of the peers: made once, from PyPI, and used again while what is asked for stays the same."""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Calls of pip, one after the other. pyradiomics 3.0.1 is built from source (it wants a C compiler) against what is
# there already, and the result does not import with numpy 2.
RECIPES: dict[str, list[list[str]]] = {
    "pyradiomics": [
        ["cython", "numpy<2", "versioneer", "setuptools", "wheel", "SimpleITK", "pywavelets", "pykwalify", "six"],
        ["--no-build-isolation", "pyradiomics==3.0.1"],
    ],
    "mahotas": [["mahotas==1.4.19"]],
    "keras": [["--editable", f"{ROOT}[deep]"]],  # the checkout as it is now
}
HERE = ("skinseg", "scikit-image")  # in the environment that runs this


class PeerError(RuntimeError):
    """A peer could not be installed or does not work; the message says why, ``peer`` which."""

    def __init__(self, peer, message):
        super().__init__(message)
        self.peer = peer


def python_of(folder):
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def tail(text, n_lines=12):
    return "\n".join(text.strip().splitlines()[-n_lines:])


def prepare(peer, envs, given=None):
    """Give the Python of a peer, after making its environment where there is none.

    Parameters
    ----------
    peer : str
        Its name.
    envs : Path
        Folder of the environments.
    given : dict of str to str, default=None
        Interpreters to use as they are, by name of the peer.

    Returns
    -------
    Path
        The interpreter.

    Raises
    ------
    PeerError
        If pip fails, with the end of what it said.
    """
    if given and peer in given:
        return Path(given[peer])
    if peer in HERE:
        return Path(sys.executable)
    folder, recipe = envs / peer, RECIPES[peer]
    done = folder / "installed.json"
    if done.exists() and json.loads(done.read_text()) == recipe:
        return python_of(folder)
    print(f"{peer}: installing into {folder}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    for arguments in recipe:
        call = [str(python_of(folder)), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *arguments]
        run = subprocess.run(call, capture_output=True, text=True)
        if run.returncode:
            raise PeerError(peer, f"pip install {' '.join(arguments)} failed:\n{tail(run.stderr or run.stdout)}")
    done.write_text(json.dumps(recipe))
    return python_of(folder)
