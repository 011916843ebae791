"""What decoding large JPEG files at reduced size changes: colors, outlines, features, the probability of melanoma."""

import argparse
import warnings
from pathlib import Path

import numpy as np

from skinseg import ABCDFeaturizer, BatchedPipeline, ImageResizer, PretrainedSegmenter, load_pretrained
from skinseg.exceptions import EmptyMaskWarning
from skinseg.metrics import jaccard_score


def look(paths, side, reduced):
    """Small images, outlines and features of files decoded at reduced size, or whole."""
    resizer = ImageResizer(side, reduced_decoding=reduced)
    images = [record.image.astype(int) for record in resizer.transform(paths)]
    outliner = BatchedPipeline([("resizer", resizer), ("segmenter", PretrainedSegmenter())]).fit(paths)
    measures = BatchedPipeline([*outliner.steps, ("features", ABCDFeaturizer())]).fit(paths)
    return images, list(outliner.predict(paths)), measures.transform(paths), measures.get_feature_names_out()


def melanoma(paths, reduced):
    """Probabilities of the packaged model."""
    model = load_pretrained("melanoma")
    for _, step in model.lesion_.steps_:
        if isinstance(step, ImageResizer):
            step.set_params(reduced_decoding=reduced)
    return model.predict_proba(paths)[:, 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of large JPEG files")
    parser.add_argument("--side", type=int, default=512, help="working size")
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    paths = sorted(options.folder.glob("*.jpg"))
    images, masks, features, names = look(paths, options.side, True)
    whole_images, whole_masks, whole_features, _ = look(paths, options.side, False)
    apart = [np.abs(one - other) for one, other in zip(images, whole_images, strict=True)]
    print(f"{len(paths)} files of {options.folder.name}, working size {options.side}: decoded reduced, or whole")
    print(
        f"colors: {np.mean([d.mean() for d in apart]):.2f} levels on the average, {max(d.max() for d in apart)} at most"
    )
    overlap = jaccard_score(whole_masks, masks, average=None)
    print(f"Jaccard index of the outlines: {np.min(overlap):.3f} to {np.max(overlap):.3f}")
    known = ~np.isnan(whole_features).all(axis=0) & ~np.isnan(features).all(axis=0)  # millimeters are not
    features, whole_features, names = features[:, known], whole_features[:, known], names[known]
    spread = np.nanstd(whole_features, axis=0)
    moved = np.abs(features - whole_features)[:, spread > 0] / spread[spread > 0]
    worst = np.nan_to_num(moved).max(axis=0)
    most = names[spread > 0][np.argmax(worst)]
    print(f"features, in standard deviations over the files: median {np.nanmedian(moved):.3f}, 95 % below "
          f"{np.nanquantile(moved, 0.95):.2f}, largest {worst.max():.2f} ({most})")  # fmt: skip
    change = np.abs(melanoma(paths, True) - melanoma(paths, False))
    print(f"probability of melanoma: {change.mean():.3f} on the average, {change.max():.3f} at most")


if __name__ == "__main__":
    main()
