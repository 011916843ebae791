"""Networks that come with the package: their files, checked by hash, and how they are run without Keras."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import joblib
import numpy as np

from .._mapping import batches_of, in_pool
from .._quiet import told_by_environment
from ..exceptions import ModelFileError

__all__ = [
    "PackagedNetwork",
    "embed_packaged",
    "packaged_network",
    "packaged_networks",
    "packaged_weights",
    "run_packaged",
]

_FOLDER = files("skinseg") / "weights"
_AT_ONCE = 4  # images in a run: what is faster, and takes less memory, than larger batches
_lock = threading.Lock()
_sessions: dict[tuple[int, str, int], Any] = {}
_AGAIN = "install the package again: pip install --force-reinstall --no-deps scikit-skinseg"


def _renew_lock() -> None:
    """Make a lock for a process that was forked, as another thread may have held the one of its parent."""
    global _lock  # sessions of the parent are kept: to end them would wait for threads that are not there
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _read(name: str) -> bytes:
    path = _FOLDER / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path}: the packaged network cannot be read ({error}); {_AGAIN}") from None


class PackagedNetwork(NamedTuple):
    """What the manifest tells of a network in the package.

    Parameters
    ----------
    name : str
        Its name.
    file : str
        File in ``skinseg/weights``.
    sha256 : str
        Hash of the file.
    input_size : int
        Side in pixels of the squares that it takes.
    architecture : dict
        Settings of the graph, as of `skinseg.networks.efficientnet_lite_unet`.
    embedding_size : int
        Number of values by which it describes an image, see `embed_packaged`.
    calibration : list of two lists of float, default=None
        Of a network that outlines: Jaccard indices expected from its
        probabilities, and those that were measured.
    classes : list of str, default=None
        Of a network that tells classes apart: their names.
    """

    name: str
    file: str
    sha256: str
    input_size: int
    architecture: dict[str, Any]
    embedding_size: int
    calibration: list[list[float]] | None = None
    classes: list[str] | None = None

    def read(self) -> bytes:
        """Read the file and check its hash.

        Returns
        -------
        bytes
            The ONNX file.

        Raises
        ------
        ModelFileError
            If the file is missing or was changed.
        """
        path, content = _FOLDER / self.file, _read(self.file)
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise ModelFileError(f"{path} is damaged: its SHA-256 is {found} and not {self.sha256}; {_AGAIN}")
        return content


@cache
def _networks() -> dict[str, PackagedNetwork]:
    content = _read("manifest.json")
    fields, optional = PackagedNetwork._fields[1:], PackagedNetwork._field_defaults
    try:
        return {
            key: PackagedNetwork(
                key, **{field: entry[field] for field in fields if field in entry or field not in optional}
            )
            for key, entry in json.loads(content).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{_FOLDER / 'manifest.json'} is damaged ({error!r}); {_AGAIN}") from None


def packaged_networks() -> list[str]:
    """Name the networks in the package.

    Returns
    -------
    list of str
        The names.
    """
    return list(_networks())


def packaged_network(name: str = "lesion_unet") -> PackagedNetwork:
    """Look a network up in the manifest of the package.

    Parameters
    ----------
    name : str, default="lesion_unet"
        Its name.

    Returns
    -------
    PackagedNetwork
        What is known of it.

    Raises
    ------
    ModelFileError
        If the manifest is missing or damaged.
    ValueError
        If there is no network of that name.
    """
    networks = _networks()
    if name not in networks:
        raise ValueError(f"there is no packaged network {name!r}, but {', '.join(networks)}")
    return networks[name]


def _n_threads() -> int:
    """Cores of this process: its share of them in a worker of joblib."""
    if in_pool():
        return 1
    cores = int(joblib.cpu_count())
    granted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # it may be a list, one a level
    return min(cores, int(granted)) if granted.isdecimal() and int(granted) else cores


def _session(network: PackagedNetwork) -> Any:
    """Open a network once a process (and anew after a fork, which its threads do not survive)."""
    key = os.getpid(), network.sha256, _n_threads()
    with _lock:
        if key not in _sessions:
            _sessions[key] = _open(network, key[2])
        return _sessions[key]


def _open(network: PackagedNetwork, n_threads: int) -> Any:
    try:
        with told_by_environment({"ORT_DISABLE_TELEMETRY": "1"}):  # else it reports its use to its maker
            import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"the packaged networks are run by ONNX Runtime, which cannot be imported ({error}): "
            "pip install 'onnxruntime>=1.19'"
        ) from error
    content = network.read()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # threads wait for work by spinning, a quarter faster, but not after a run: decoding wants the cores then
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the classes of its errors are not public
        raise ModelFileError(
            f"onnxruntime {onnxruntime.__version__} cannot open the packaged network {network.file} ({error}); "
            "install another version: pip install -U 'onnxruntime>=1.19'"
        ) from error


def run_packaged(images: np.ndarray, network: PackagedNetwork | None = None) -> np.ndarray:
    """Send letterboxed images through a packaged network.

    Parameters
    ----------
    images : ndarray of shape (n, side, side, 3), uint8
        The images, see `skinseg.networks.letterbox`.
    network : PackagedNetwork, default=None
        Which one; that which outlines lesions if None.

    Returns
    -------
    ndarray of shape (n, n_members, side, side) or (n, n_members, n_classes), float32
        A map of probabilities from each member of the network, or the
        probabilities of classes.

    Raises
    ------
    ValueError
        If the images are of another shape or type.
    ModelFileError
        If the file was changed, or the inference library cannot open it.
    ImportError
        If ONNX Runtime is missing.
    """
    return _run(images, network, "probabilities")


def embed_packaged(images: np.ndarray, network: PackagedNetwork | None = None) -> np.ndarray:
    """Describe letterboxed images by what a packaged network sees in them.

    The values are the means over the image of the maps before the last
    projection of its encoder, each from 0 to 6. What comes after them in the
    network is not computed.

    Parameters
    ----------
    images : ndarray of shape (n, side, side, 3), uint8
        The images, see `skinseg.networks.letterbox`.
    network : PackagedNetwork, default=None
        Which one; that which outlines lesions if None.

    Returns
    -------
    ndarray of shape (n, embedding_size), float32
        The embeddings.

    Raises
    ------
    ValueError
        If the images are of another shape or type.
    ModelFileError
        If the file was changed, or the inference library cannot open it.
    ImportError
        If ONNX Runtime is missing.
    """
    return _run(images, network, "embedding")


def _run(images: np.ndarray, network: PackagedNetwork | None, output: str) -> np.ndarray:
    network = packaged_network() if network is None else network
    wanted = network.input_size, network.input_size, 3
    if images.dtype != np.uint8 or images.shape[1:] != wanted or not len(images):
        raise ValueError(
            f"images must be an array of shape (n, {', '.join(map(str, wanted))}), n at least 1, and dtype uint8, got "
            f"shape {images.shape} and dtype {images.dtype}; skinseg.networks.letterbox makes such squares"
        )
    session = _session(network)
    from onnxruntime import RunOptions  # imported by now

    options = RunOptions()
    options.only_execute_path_to_fetches = True
    answers = [session.run([output], {"images": part}, options)[0] for part in batches_of(images, _AT_ONCE)]
    return np.concatenate(answers) if len(answers) > 1 else answers[0]


def packaged_weights(network: PackagedNetwork | None = None) -> dict[str, np.ndarray]:
    """Read the weights of a packaged network for Keras, to train it on.

    Parameters
    ----------
    network : PackagedNetwork, default=None
        Which one; that which outlines lesions if None.

    Returns
    -------
    dict of str to ndarray
        The arrays of the first member by the names of their variables, such as
        ``"stem/kernel"``, float32, in the layout of Keras.

    Raises
    ------
    ModelFileError
        If the file was changed.
    ImportError
        If onnx is not installed.
    """
    try:
        from onnx import load_model_from_string
        from onnx.numpy_helper import to_array
    except ImportError as error:
        raise ImportError(
            "weights='skinseg' are read by onnx, which is not installed: pip install 'scikit-skinseg[deep]'"
        ) from error
    network = packaged_network() if network is None else network
    weights = {}
    for tensor in load_model_from_string(network.read()).graph.initializer:
        member, _, name = tensor.name.partition("/")
        if member == "net0":
            values = to_array(tensor).astype(np.float32)
            if values.ndim == 4:  # depthwise kernels are (channels, 1, rows, columns), others (out, in, rows, columns)
                values = values.transpose((2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0))
            weights[name] = np.ascontiguousarray(values)
    return weights
