"""CNNFeaturizer: what the packaged networks see in images and lesions."""

import cv2
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline

import skinseg
import skinseg.features._cnn as ours
from skinseg import (
    ABCDFeaturizer,
    BatchedPipeline,
    CNNFeaturizer,
    ImageResizer,
    LesionImage,
    PretrainedSegmenter,
    ReferenceSegmenter,
    reading,
)
from skinseg.datasets import make_lesions
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError, InvalidImagesError
from skinseg.networks import embed_packaged, letterbox, packaged_network, packaged_networks
from skinseg.networks._view import view_of


@pytest.fixture(scope="module")
def lesions():
    return make_lesions(6, random_state=0)


@pytest.fixture(scope="module")
def records(lesions):
    return [LesionImage(image, mask=mask) for image, mask in zip(lesions.images, lesions.masks, strict=True)]


@pytest.mark.parametrize("network", packaged_networks())
@pytest.mark.parametrize("view", ["image", "lesion"])
def test_rows_are_those_of_the_network(records, network, view):
    table = CNNFeaturizer(network, view=view, margin=0.3).fit_transform(records)
    known = packaged_network(network)
    squares = np.stack([letterbox(view_of(record, view, 0.3), known.input_size) for record in records])
    np.testing.assert_allclose(table, embed_packaged(squares, known), rtol=1e-5, atol=1e-6)
    assert table.shape == (6, known.embedding_size)
    assert table.min() >= 0
    assert table.max() <= 6
    assert table.std(axis=0).max() > 0.05  # images differ


def test_embedding_is_that_of_the_graph_in_keras(records):
    keras = pytest.importorskip("keras")
    pytest.importorskip("onnx")
    model = skinseg.networks.efficientnet_lite_unet(224, weights="skinseg")
    part = keras.Model(model.input, model.get_layer("block15_project").input)
    squares = np.stack([letterbox(record.image, 224) for record in records])
    expected = np.asarray(part(squares.astype(np.float32), training=False)).mean(axis=(1, 2))
    np.testing.assert_allclose(embed_packaged(squares), expected, atol=2e-4)


def test_columns_have_names(records):
    featurizer = CNNFeaturizer().set_output(transform="pandas")
    table = featurizer.fit_transform(records)
    assert table.columns[7] == "embedding_lesion_0007"
    assert len(set(table.columns)) == packaged_network().embedding_size
    assert CNNFeaturizer(view="image").get_feature_names_out()[0] == "embedding_image_0000"


def test_views_differ_and_the_margin_matters(records):
    whole, tight, wide = (
        CNNFeaturizer(**settings).fit_transform(records)
        for settings in ({"view": "image"}, {"margin": 0.0}, {"margin": 0.5})
    )
    assert np.abs(whole - tight).max() > 0.1
    assert np.abs(wide - tight).max() > 0.1


def test_union_decodes_each_file_once(lesions, tmp_path, monkeypatch):
    paths = []
    for index, image in enumerate(lesions.images[:4]):
        paths.append(tmp_path / f"{index}.png")
        cv2.imwrite(str(paths[-1]), image[..., ::-1])
    read = []
    original = reading._decode
    monkeypatch.setattr(reading, "_decode", lambda path, *args: read.append(str(path)) or original(path, *args))
    union = FeatureUnion(
        [
            ("abcd", ABCDFeaturizer(groups=["border"])),
            ("lesion", CNNFeaturizer()),
            ("image", CNNFeaturizer(view="image")),
        ]
    )
    pipe = BatchedPipeline([("resizer", ImageResizer(256)), ("segmenter", PretrainedSegmenter()), ("features", union)])
    table = pipe.fit_transform(paths)
    assert sorted(read) == sorted(map(str, paths))
    names = pipe.get_feature_names_out()
    assert table.shape == (4, len(names))
    assert names[0].startswith("abcd__border")
    assert names[-1] == "image__embedding_image_1151"


def test_batches_and_workers_change_nothing(records):
    one = CNNFeaturizer(batch_size=1).fit_transform(records)
    np.testing.assert_allclose(CNNFeaturizer(batch_size=4).fit_transform(records), one, atol=1e-5)
    np.testing.assert_allclose(CNNFeaturizer(n_jobs=2).fit_transform(records), one, atol=1e-5)


def test_rows_are_kept(records, tmp_path, monkeypatch):
    featurizer = CNNFeaturizer(memory=tmp_path)
    first = featurizer.fit_transform(records)
    monkeypatch.setattr(ours, "embed_packaged", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(clone(featurizer).fit_transform(records), first)
    with pytest.raises(BaseException, match="computed again"):
        CNNFeaturizer(memory=tmp_path, margin=0.2).fit_transform(records)


def test_an_empty_mask_gives_the_whole_image(records):
    empty = records[0].with_(mask=np.zeros(records[0].shape, bool), name="spotless")
    with pytest.warns(EmptyMaskWarning, match=r"spotless.*whole image"):
        table = CNNFeaturizer().fit_transform([empty, records[1]])
    whole = CNNFeaturizer(view="image").fit_transform([records[0]])
    np.testing.assert_allclose(table[0], whole[0], atol=1e-5)


def test_a_mask_is_asked_for(lesions):
    with pytest.raises((ValueError, ImageBatchError, InvalidImagesError), match=r"mask.*view='image'|mask"):
        CNNFeaturizer().fit_transform(lesions.images)
    assert CNNFeaturizer(view="image").fit_transform(lesions.images).shape[0] == 6


def test_a_bad_file_is_a_row_of_nan(lesions, tmp_path):
    path = tmp_path / "cut.jpg"
    cv2.imwrite(str(path), lesions.images[0][..., ::-1])
    path.write_bytes(path.read_bytes()[:2000])
    featurizer = CNNFeaturizer(view="image", on_error="nan")
    table = featurizer.fit_transform([lesions.images[1], path])
    assert np.isfinite(table[0]).all()
    assert np.isnan(table[1]).all()
    assert list(featurizer.errors_) == [1]
    with pytest.raises(ImageBatchError, match=r"cut\.jpg"):
        CNNFeaturizer(view="image").fit_transform([path])


def test_parameters_are_checked(records):
    with pytest.raises(ValueError, match=r"one of \['lesion_unet'.*Got 'resnet'"):
        CNNFeaturizer("resnet").fit(records)
    for settings in ({"view": "skin"}, {"margin": -0.1}, {"batch_size": 0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            CNNFeaturizer(**settings).fit(records)


def test_embeddings_tell_what_can_be_seen():
    """Lesions whose details are blurred, from those whose are not."""
    data = make_lesions(40, random_state=1)
    blurred = np.arange(40) % 2
    images = [
        cv2.GaussianBlur(image, (0, 0), 3) if soft else image for image, soft in zip(data.images, blurred, strict=True)
    ]
    records = [LesionImage(image, reference_mask=mask) for image, mask in zip(images, data.masks, strict=True)]
    pipe = make_pipeline(ReferenceSegmenter(), CNNFeaturizer(), LogisticRegression(C=0.01, max_iter=1000))
    assert pipe.fit(records[:24], blurred[:24]).score(records[24:], blurred[24:]) > 0.8
