"""Losses and the metric of training, against values derived by hand."""

import numpy as np
import pytest

from skinseg import metrics

pytest.importorskip("keras")
pytest.importorskip("tensorflow")

from skinseg.networks import jaccard, make_loss
from skinseg.networks._losses import LOSSES

TINY = 1e-7


def target(lesion, known=None):
    """Targets of one image, from rows of numbers."""
    lesion = np.asarray(lesion, np.float32)
    known = np.ones_like(lesion) if known is None else np.asarray(known, np.float32)
    return np.stack([lesion, known], axis=-1)[None]


def prediction(values):
    return np.asarray(values, np.float32)[None, ..., None]


def value(name, y_true, y_pred, **settings):
    (result,) = np.asarray(make_loss(name, **settings)(y_true, y_pred))
    return float(result)


HARD = target([[1, 1], [0, 0]]), prediction([[1, 0], [1, 0]])  # one pixel right, one missed, one false
SOFT = target([[1, 0.5], [0, 0]]), prediction([[0.5, 0.5], [0.5, 0]])  # both 0.75, lesion 1.5, predicted 1.5
EMPTY = target(np.zeros((2, 2))), prediction(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("name", "case", "expected"),
    [
        ("dice", HARD, 1 - (2 * 1 + 1) / (2 + 2 + 1)),
        ("dice", SOFT, 1 - (2 * 0.75 + 1) / (1.5 + 1.5 + 1)),
        ("dice", EMPTY, 0.0),
        ("jaccard", HARD, 1 - (1 + 1) / (3 + 1)),
        ("jaccard", SOFT, 1 - (0.75 + 1) / (2.25 + 1)),
        ("jaccard", EMPTY, 0.0),
        ("focal_tversky", HARD, (1 - 2 / (1 + 0.7 + 0.3 + 1)) ** 0.75),
        ("focal_tversky", SOFT, (1 - 1.75 / (0.75 + 0.7 * 0.75 + 0.3 * 0.75 + 1)) ** 0.75),
        ("focal_tversky", EMPTY, TINY**0.75),
    ],
)
def test_overlap_losses_by_hand(name, case, expected):
    assert value(name, *case) == pytest.approx(expected, abs=1e-6)


def test_missed_pixels_cost_more_than_false_ones_in_the_tversky_loss():
    missed = value("focal_tversky", target([[1, 1], [0, 0]]), prediction([[1, 0], [0, 0]]))
    false = value("focal_tversky", target([[1, 0], [0, 0]]), prediction([[1, 1], [0, 0]]))
    assert missed == pytest.approx((0.7 / 2.7) ** 0.75, abs=1e-6)
    assert false == pytest.approx((0.3 / 2.3) ** 0.75, abs=1e-6)


def test_cross_entropy_by_hand():
    y_true, y_pred = target([[1, 0], [0.25, 0]]), prediction([[0.5, 0.5], [0.5, 0.2]])
    expected = (3 * np.log(2) - np.log(0.8)) / 4  # a soft label costs log 2 at one half, whatever it is
    assert value("bce", y_true, y_pred) == pytest.approx(expected, rel=1e-5)
    soft = -(0.25 * np.log(0.9) + 0.75 * np.log(0.1))
    assert value("bce", target([[0.25]]), prediction([[0.9]])) == pytest.approx(soft, rel=1e-5)


def test_class_weights_multiply_the_cross_entropy_of_their_pixels_and_nothing_else():
    y_true, y_pred = target([[1, 0], [0, 0]]), prediction([[0.5, 0.5], [0.5, 0.2]])
    expected = (3 * np.log(2) - 2 * 2 * np.log(0.5) - 2 * np.log(0.8)) / 4
    weighted = value("bce", y_true, y_pred, class_weight=(2.0, 3.0))
    assert weighted == pytest.approx(expected, rel=1e-5)
    dice = value("dice", y_true, y_pred)
    assert value("dice", y_true, y_pred, class_weight=(2.0, 3.0)) == dice
    assert value("bce_dice", y_true, y_pred, class_weight=(2.0, 3.0)) == pytest.approx(weighted + dice, rel=1e-5)


@pytest.mark.parametrize("overlap", ["dice", "jaccard"])
def test_joint_losses_are_sums(overlap):
    assert value(f"bce_{overlap}", *SOFT) == pytest.approx(value("bce", *SOFT) + value(overlap, *SOFT), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_pixels_outside_of_the_image_do_not_count(name):
    rng = np.random.default_rng(0)
    lesion, found = rng.random((2, 3)), rng.random((2, 3))
    inside = value(name, target(lesion), prediction(found))
    known = np.zeros((4, 3))
    known[1:3] = 1
    for outside in (0.0, 0.3, 1.0):
        around = np.full((4, 3), outside)
        wide_lesion, wide_found = around.copy(), 1 - around
        wide_lesion[1:3], wide_found[1:3] = lesion, found
        assert value(name, target(wide_lesion, known), prediction(wide_found)) == pytest.approx(inside, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_one_number_an_image_and_do_not_mix_images(name):
    y_true = np.concatenate([HARD[0], SOFT[0], EMPTY[0]])
    y_pred = np.concatenate([HARD[1], SOFT[1], EMPTY[1]])
    together = np.asarray(make_loss(name)(y_true, y_pred))
    alone = [value(name, *case) for case in (HARD, SOFT, EMPTY)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("lesion", "known", "found"),
    [
        pytest.param([[1, 0], [0, 0]], None, [[1, 0], [0, 0]], id="perfect and saturated"),
        pytest.param([[1, 0], [0, 0]], None, [[0, 1], [1, 1]], id="wrong and saturated"),
        pytest.param(np.zeros((2, 2)), None, np.zeros((2, 2)), id="empty, found empty"),
        pytest.param(np.zeros((2, 2)), None, np.full((2, 2), 0.5), id="empty, half found"),
        pytest.param(np.ones((2, 2)), None, np.ones((2, 2)), id="full"),
        pytest.param(np.ones((2, 2)), np.zeros((2, 2)), np.full((2, 2), 0.5), id="nothing known"),
    ],
)
def test_losses_and_gradients_are_finite(name, lesion, known, found):
    import tensorflow as tf

    y_pred = tf.Variable(prediction(found))
    with tf.GradientTape() as tape:
        loss = make_loss(name)(target(lesion, known), y_pred)
    gradient = np.asarray(tape.gradient(loss, y_pred))
    assert np.isfinite(np.asarray(loss)).all()
    assert (np.asarray(loss) >= 0).all()
    assert np.isfinite(gradient).all()
    if known is not None:
        assert not gradient.any()


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_found_beside_an_empty_mask_is_pushed_down(name):
    import tensorflow as tf

    y_pred = tf.Variable(prediction(np.full((2, 2), 0.5)))
    with tf.GradientTape() as tape:
        loss = make_loss(name)(EMPTY[0], y_pred)
    assert (np.asarray(tape.gradient(loss, y_pred)) > 0).all()


def test_an_unknown_loss_is_refused_by_name():
    with pytest.raises(ValueError, match=r"loss must be one of .*'focal_tversky'.*got 'hinge'"):
        make_loss("hinge")


def test_the_metric_by_hand():
    assert np.asarray(jaccard(*HARD)) == pytest.approx([1 / 3])
    assert np.asarray(jaccard(*SOFT)) == pytest.approx([2 / 3])  # labels and probabilities of one half count
    assert np.asarray(jaccard(*EMPTY)) == pytest.approx([1])
    assert np.asarray(jaccard(EMPTY[0], HARD[1])) == pytest.approx([0])
    assert np.asarray(jaccard(HARD[0], EMPTY[1])) == pytest.approx([0])
    known = [[1, 1], [0, 1]]  # the false pixel is outside
    assert np.asarray(jaccard(target([[1, 1], [0, 0]], known), HARD[1])) == pytest.approx([1 / 2])


def test_the_metric_is_that_of_skinseg_metrics():
    rng = np.random.default_rng(1)
    masks, found = rng.random((12, 5, 4)) < 0.4, rng.random((12, 5, 4)).astype(np.float32)
    masks[0], found[0] = False, 0
    ours = np.asarray(jaccard(np.stack([masks, np.ones_like(masks)], -1).astype(np.float32), found[..., None]))
    theirs = metrics.jaccard_score(list(masks), list(found >= 0.5), average=None)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
