"""The one door to Keras: imported when a network is built, never before."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["import_keras"]


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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow greets every import with a page of hints
    if "OMP_NUM_THREADS" in os.environ:  # as in workers of joblib, which share the cores; TensorFlow has its own name
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", os.environ["OMP_NUM_THREADS"])
    try:
        import keras
    except ImportError as error:
        raise ImportError(
            "networks need keras and tensorflow (1.9 GB), which are not installed: pip install 'scikit-skinseg[deep]'"
        ) from error
    return keras
