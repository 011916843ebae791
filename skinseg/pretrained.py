"""The model that comes trained: from images, and age, sex and site where known, to the probability of melanoma.

Its file holds numbers only, which are multiplied here: nothing in it depends on the version of scikit-learn.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from functools import cache
from importlib.resources import files
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from sklearn.base import ClassifierMixin
from sklearn.pipeline import FeatureUnion
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from ._html import serial_block
from ._mapping import hash_of
from .base import SkinsegEstimator
from .clinical import clinical_table, image_columns
from .exceptions import ModelFileError, VersionMismatchWarning
from .features import ABCDFeaturizer, CNNFeaturizer
from .features.texture import TEXTURE_BLOCKS
from .images import check_images
from .pipeline import BatchedPipeline
from .preprocessing import ImageResizer
from .segmentation import PretrainedSegmenter

__all__ = ["PretrainedClassifier", "load_pretrained", "make_measures", "network_log_odds"]

_FOLDER = files("skinseg") / "weights"
_MODELS = ("melanoma",)
_AGAIN = "install the package again: pip install --force-reinstall --no-deps scikit-skinseg"
_SURE = 1e-6  # probabilities of the network are kept that far from 0 and 1
_TEXTURE = frozenset(feature.name for block in TEXTURE_BLOCKS for feature in block.features)


class _Model(NamedTuple):
    """What the files of a model hold."""

    settings: dict[str, Any]
    arrays: dict[str, np.ndarray]
    sha256: str


@cache
def _read_model(name: str) -> _Model:
    path = _FOLDER / f"{name}.json"
    try:
        settings = json.loads(path.read_bytes())
        content = (_FOLDER / settings["file"]).read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != settings["sha256"]:
            raise ValueError(f"the SHA-256 of {settings['file']} is {found} and not {settings['sha256']}")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {key: file[key].astype(float) for key in file.files}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path}: the packaged model cannot be read ({error}); {_AGAIN}") from None
    return _Model(settings, arrays, hash_of(settings))


def make_measures(settings: dict[str, Any], **execution: Any) -> BatchedPipeline:
    """Make the steps from images to what a packaged model stands on.

    Parameters
    ----------
    settings : dict
        Of the model: ``network``, ``max_side`` and ``margins`` (None is the
        whole image).
    **execution : dict
        Of the `BatchedPipeline`.

    Returns
    -------
    BatchedPipeline
        It gives the columns of `ABCDFeaturizer` and the probabilities of the
        network for each margin.
    """
    parts: list[tuple[str, Any]] = [("abcd", ABCDFeaturizer())]
    for number, margin in enumerate(settings["margins"]):
        view = {"view": "image"} if margin is None else {"view": "lesion", "margin": margin}
        parts.append((f"view{number}", CNNFeaturizer(settings["network"], output="probabilities", **view)))
    steps = [
        ("resizer", ImageResizer(settings["max_side"])),
        ("segmenter", PretrainedSegmenter()),
        ("features", FeatureUnion(parts)),
    ]
    return BatchedPipeline(steps, **execution)


def network_log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Average what a network says of several views.

    Parameters
    ----------
    probabilities : ndarray of shape (n_images, n_views)
        Of a class.

    Returns
    -------
    ndarray of shape (n_images,)
        Mean log-odds.
    """
    means: np.ndarray = logit(np.clip(probabilities, _SURE, 1 - _SURE)).mean(axis=1)
    return means


def _group_of(column: str) -> str:
    if column in _TEXTURE:
        return "texture"
    group = column.partition("_")[0]
    return "clinical" if group in ("age", "sex", "site") else group


class PretrainedClassifier(ClassifierMixin, SkinsegEstimator):
    """Tell melanoma from benign by the model that comes trained with the package.

    It outlines the lesion (`PretrainedSegmenter`), measures it
    (`ABCDFeaturizer`), lets a network look at it with two margins and at the whole
    image (``CNNFeaturizer("melanoma")``), and adds all up in a logistic
    regression, with age, sex and site where they are known. Nothing is
    downloaded; neither Keras nor TensorFlow is needed.

    **Research use only, no diagnosis.** It was trained on the 2,000 images of one
    challenge, and has not been validated on patients. Its model card is
    ``docs/pretrained_melanoma.md``.

    Parameters
    ----------
    model : {"melanoma"}, default="melanoma"
        Which packaged model.
    threshold : float, default=None
        Probability from which `predict` says melanoma, in (0, 1). None is that
        which found 90 % of the melanomas among images that the model had not
        seen; with a ``prevalence`` it moves along.
    prevalence : float, default=None
        Share of melanomas among the lesions that the model is used on, in
        (0, 1). Probabilities are for that share then; None is that of the
        training images, 0.187, which is far above that of any practice.
    batch_size : int, default=32
        Images a batch.
    n_jobs : int, default=None
        Number of batches at work at once, as in joblib.
    memory : str, path-like or joblib.Memory, default=None
        Folder in which measures are kept, a row an image.
    on_error : {"raise", "nan"}, default="raise"
        Whether an image that cannot be decoded stops the call, or has NaN for
        its probability; `predict` then names those and stops, too.
    verbose : int, default=0
        Show a progress bar if above 0.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        0 for benign, 1 for melanoma.
    lesion_ : BatchedPipeline
        The steps from images to measures.
    errors_ : dict of int to str
        With ``on_error="nan"``, the images that failed in the last call.

    See Also
    --------
    load_pretrained : Gives it ready for use.
    make_lesion_pipeline : A pipeline to fit on images of your own.

    Examples
    --------
    >>> from skinseg import load_pretrained
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(3, random_state=0)
    >>> model = load_pretrained("melanoma")
    >>> model.predict_proba(lesions.images).shape
    (3, 2)
    >>> frame = lesions.frame[["age_approximate", "sex", "site"]].assign(image=lesions.images)
    >>> model.predict_interval(frame).shape
    (3, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "model": [StrOptions(set(_MODELS))],
        "threshold": [Interval(Real, 0, 1, closed="neither"), None],
        "prevalence": [Interval(Real, 0, 1, closed="neither"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "memory": [str, HasMethods(["cache"]), HasMethods(["__fspath__"]), None],
        "on_error": [StrOptions({"raise", "nan"})],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: str = "melanoma",
        *,
        threshold: float | None = None,
        prevalence: float | None = None,
        batch_size: int = 32,
        n_jobs: int | None = None,
        memory: Any = None,
        on_error: str = "raise",
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.threshold = threshold
        self.prevalence = prevalence
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.memory = memory
        self.on_error = on_error
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.required = False
        tags.requires_fit = False
        tags.no_validation = False
        tags.classifier_tags.multi_class = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_model_hash": self._read().sha256}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        saved = state.pop("_model_hash", "unknown")
        if state["model"] not in _MODELS:  # the name is of a file
            raise ModelFileError(f"there is no packaged model {state['model']!r}, but {', '.join(_MODELS)}")
        found = _read_model(state["model"]).sha256
        if saved != found:
            warnings.warn(
                f"PretrainedClassifier was saved with a model {state['model']!r} of hash {saved[:12]}..., and this "
                f"skinseg has one of {found[:12]}...: probabilities will differ; install the version that saved it",
                VersionMismatchWarning,
                stacklevel=2,
            )
        super().__setstate__(state)

    def _read(self) -> _Model:
        return _read_model(self.model)

    def _sk_visual_block_(self) -> Any:
        block = serial_block([("lesion", getattr(self, "lesion_", None) or make_measures(self._read().settings))])
        words = "logistic regression, with age, sex and site where they are known"
        block.estimators, block.names = [*block.estimators, words], [*block.names, "classifier"]
        block.name_details = [*block.name_details, words]
        return block

    # ------------------------------------------------------------------ the estimator

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check parameters and images; nothing is learnt.

        Parameters
        ----------
        X : sequence of images or DataFrame
            See `predict_proba`.
        y : array-like, default=None
            Nothing is learnt from it; it must hold 0 (benign) and 1 (melanoma), so
            that scores are right.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If y holds other classes.
        """
        self._validate_params()
        check_images(_images_of(X), self)
        if y is not None and not set(np.unique(np.asarray(y)).tolist()) <= {0, 1}:
            raise ValueError(
                f"PretrainedClassifier says 0 for benign and 1 for melanoma, and y has the classes "
                f"{np.unique(np.asarray(y)).tolist()}; recode them, for no score would be right"
            )
        return self._prepare()

    @property
    def classes_(self) -> np.ndarray:
        """0 for benign, 1 for melanoma."""
        return np.array([0, 1])

    def _prepare(self) -> Self:
        # no step learns; what fit wants is an image, any
        self.lesion_ = make_measures(self._read().settings).fit([np.zeros((1, 1, 3), np.uint8)])
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def decision_function(self, X: Any) -> np.ndarray:
        """Give the log-odds of melanoma.

        Parameters
        ----------
        X : sequence of images or DataFrame
            See `predict_proba`.

        Returns
        -------
        ndarray of shape (n_images,)
            The log-odds; NaN where an image failed and ``on_error="nan"``.
        """
        return self._score(X)[0] + self._shift()

    def predict_proba(self, X: Any) -> np.ndarray:
        """Give the probabilities of benign and melanoma.

        Parameters
        ----------
        X : sequence of images or DataFrame
            Paths, arrays or records, see `skinseg.check_images`; or a DataFrame
            with the column ``image`` and some of age (``age_approximate``,
            ``age``), ``sex`` and ``site`` (``anatom_site_general``,
            ``localization``). A row without any of these is judged by its image
            alone. An image without a lesion is judged as a whole, with an
            `EmptyMaskWarning`.

        Returns
        -------
        ndarray of shape (n_images, 2)
            The probabilities; NaN where an image failed and ``on_error="nan"``.
        """
        melanoma = expit(self.decision_function(X))
        return np.column_stack([1 - melanoma, melanoma])

    def predict(self, X: Any) -> np.ndarray:
        """Say melanoma (1) from the threshold on.

        Parameters
        ----------
        X : sequence of images or DataFrame
            See `predict_proba`.

        Returns
        -------
        ndarray of shape (n_images,), int
            0 or 1.

        Raises
        ------
        ValueError
            If images failed, also with ``on_error="nan"``.
        """
        table = self.predict_table(X)
        failed = np.flatnonzero(table["melanoma_probability"].isna()).tolist()
        if failed:
            raise ValueError(
                f"PretrainedClassifier cannot classify {len(failed)} of {len(table)} images, which failed (rows "
                f"{', '.join(map(str, failed[:20]))}); leave them out, or use predict_proba, which gives NaN for them"
            )
        decisions: np.ndarray = table["decision"].to_numpy(int)
        return decisions

    def predict_interval(self, X: Any, *, level: float = 0.95) -> np.ndarray:
        """Give an interval for the probability of melanoma.

        It tells how far the probability would move with other training images
        of the same kind: the last step, fitted on bootstrap samples of them. The
        network and the outline are taken as they are, so it is too narrow
        rather than too wide, and on images of another kind it tells nothing.

        Parameters
        ----------
        X : sequence of images or DataFrame
            See `predict_proba`.
        level : float, default=0.95
            Share of the fits within the interval, in (0, 1).

        Returns
        -------
        ndarray of shape (n_images, 2)
            Lower and upper probability.
        """
        _check_level(level)
        return self._interval(self._score(X)[1], level)

    def _interval(self, fits: np.ndarray, level: float) -> np.ndarray:
        ends = (1 - level) / 2, (1 + level) / 2
        bounds: np.ndarray = expit(np.quantile(fits, ends, axis=1).T + self._shift())
        return bounds

    def predict_table(self, X: Any, *, level: float = 0.95) -> pd.DataFrame:
        """Give all that the model says at once.

        Parameters
        ----------
        X : sequence of images or DataFrame
            See `predict_proba`.
        level : float, default=0.95
            Of the interval, see `predict_interval`.

        Returns
        -------
        DataFrame
            ``melanoma_probability``, its interval ``melanoma_low`` and
            ``melanoma_high``, and ``decision``, 0 or 1, None where an image
            failed.
        """
        _check_level(level)
        odds, fits, clinical = self._score(X)
        probability = expit(odds + self._shift())
        if self.threshold is None:
            limits = self._read().settings["threshold"]
            called = odds >= logit(np.where(clinical, limits["clinical"], limits["image"]))
        else:
            called = probability >= self.threshold
        bounds = self._interval(fits, level)
        decision = [None if np.isnan(p) else int(yes) for p, yes in zip(probability, called, strict=True)]
        return pd.DataFrame({
            "melanoma_probability": probability, "melanoma_low": bounds[:, 0], "melanoma_high": bounds[:, 1],
            "decision": pd.Series(decision, dtype=object),
        })  # fmt: skip

    # ------------------------------------------------------------------ the work

    def _shift(self) -> float:
        """Log-odds to add for another share of melanomas."""
        if self.prevalence is None:
            return 0.0
        return float(logit(self.prevalence) - logit(self._read().settings["prevalence"]))

    def _measure(self, X: Any) -> tuple[pd.DataFrame, np.ndarray]:
        """Measure the images: the columns of the model, and of which rows clinical data are known."""
        self._validate_params()
        settings = self._read().settings
        records = check_images(_images_of(X), self)
        # before any work on images, for an age may be none
        frame = X.reset_index(drop=True) if isinstance(X, pd.DataFrame) else pd.DataFrame(index=range(len(records)))
        clinical, known = clinical_table(frame, settings)
        if not hasattr(self, "lesion_"):
            self._prepare()
        execution = {name: getattr(self, name) for name in ("batch_size", "n_jobs", "memory", "on_error", "verbose")}
        rows = self.lesion_.set_params(**execution).transform(records)
        self.errors_ = self.lesion_.errors_ if self.on_error == "nan" else {}
        names = self.lesion_.get_feature_names_out()
        table = pd.DataFrame(rows, columns=names)
        found = {}
        for label in settings["classes"]:
            views = [name for name in names if name.endswith(f"_{label}") and "__probability_" in name]
            found[f"network_{label}"] = network_log_odds(table[views].to_numpy())
        abcd = {name.partition("__")[2]: table[name] for name in names if name.startswith("abcd__")}
        measured = pd.concat([pd.DataFrame(found), pd.DataFrame(abcd), clinical], axis=1)
        measured.loc[np.isnan(measured[list(found)]).any(axis=1), :] = np.nan  # failed
        return measured, known

    def _terms(self, table: pd.DataFrame, variant: str) -> np.ndarray:
        """Give what each column stands for in the sum: scaled values, 0 for those that are missing."""
        arrays = self._read().arrays
        values = table[self._read().settings["columns"][variant]].to_numpy(float)
        terms: np.ndarray = np.nan_to_num((values - arrays[f"{variant}_mean"]) / arrays[f"{variant}_scale"])
        return terms

    def _score(self, X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-odds, log-odds by each bootstrap fit, and whether clinical data were used."""
        table, known = self._measure(X)
        arrays = self._read().arrays
        odds = np.full(len(table), np.nan)
        fits = np.full((len(table), len(arrays["image_intercepts"])), np.nan)
        failed = table.isna().all(axis=1).to_numpy()
        for variant, chosen in (("image", ~known & ~failed), ("clinical", known & ~failed)):
            terms = self._terms(table[chosen], variant)
            # not by a product of matrices, whose last digit depends on the number of rows
            added = np.ascontiguousarray(terms * arrays[f"{variant}_coef"])
            odds[chosen] = added.sum(axis=1) + arrays[f"{variant}_intercept"]
            fits[chosen] = terms @ arrays[f"{variant}_coefs"].T + arrays[f"{variant}_intercepts"]
        return odds, fits, known

    def _contributions(self, X: Any) -> tuple[pd.DataFrame, float, np.ndarray]:
        """Tell what each group of columns added to the log-odds, over the mean of the training images."""
        table, known = self._measure(X)
        arrays, settings = self._read().arrays, self._read().settings
        groups = list(dict.fromkeys(_group_of(column) for column in settings["columns"]["clinical"]))
        added = pd.DataFrame(0.0, index=table.index, columns=groups)
        failed = table.isna().all(axis=1).to_numpy()
        baseline = float(arrays["image_intercept"]) + self._shift()
        for variant, chosen in (("image", ~known & ~failed), ("clinical", known & ~failed)):
            parts = self._terms(table[chosen], variant) * arrays[f"{variant}_coef"]
            for column, values in zip(settings["columns"][variant], parts.T, strict=True):
                added.loc[chosen, _group_of(column)] += values
        # the two variants differ in their intercepts by a little, which is what having clinical data says
        added.loc[known, "clinical"] += float(arrays["clinical_intercept"] - arrays["image_intercept"])
        added.loc[failed] = np.nan
        return added, baseline, baseline + added.sum(axis=1, skipna=False).to_numpy()


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level!r}")


def _images_of(X: Any) -> Any:
    return X[image_columns(X)] if isinstance(X, pd.DataFrame) else X


def load_pretrained(name: str = "melanoma", **parameters: Any) -> PretrainedClassifier:
    """Load a model that comes trained with the package.

    Parameters
    ----------
    name : {"melanoma"}, default="melanoma"
        Its name.
    **parameters : dict
        Of `PretrainedClassifier`.

    Returns
    -------
    PretrainedClassifier
        Ready to predict.

    Raises
    ------
    ValueError
        If there is no model of that name.
    ModelFileError
        If its files are missing or were changed.

    Examples
    --------
    >>> from skinseg import load_pretrained
    >>> load_pretrained("melanoma", prevalence=0.02)
    PretrainedClassifier(prevalence=0.02)
    """
    if name not in _MODELS:
        raise ValueError(f"there is no packaged model {name!r}, but {', '.join(_MODELS)}")
    model = PretrainedClassifier(name, **parameters)
    model._validate_params()
    return model._prepare()
