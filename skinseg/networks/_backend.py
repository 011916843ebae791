"""The one door to Keras: imported when a network is built, never before."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from .._quiet import told_by_environment

__all__ = ["import_keras"]

_lock = threading.Lock()
_ready = False


def import_keras() -> Any:
    """Import Keras.

    Returns
    -------
    module
        Keras 3.

    Raises
    ------
    ImportError
        If Keras or its backend is not installed; the message names the extra.
    """
    global _ready
    try:
        with _lock:
            if not _ready:
                _import_first()
                _ready = True
        import keras
    except ImportError as error:
        raise ImportError(
            "networks need keras and tensorflow (1.9 GB), which are not installed: pip install 'scikit-skinseg[deep]'"
        ) from error
    return keras


def _import_first() -> None:
    """Import Keras and let TensorFlow start up as this process should have it, told by variables of its own."""
    told = {"TF_CPP_MIN_LOG_LEVEL": "2"}  # TensorFlow greets every import with a page of hints
    if "OMP_NUM_THREADS" in os.environ:  # as in workers of joblib, which share the cores; TensorFlow has its own name
        told["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"]
    with told_by_environment(told):
        import keras  # noqa: F401

        if "tensorflow" in sys.modules:  # it reads them when it first looks for devices
            sys.modules["tensorflow"].config.list_logical_devices()
