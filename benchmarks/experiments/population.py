"""Make the population that reports set lesions beside: quantiles of all features over the training images of ISIC 2017.

The lesions are outlined by PretrainedSegmenter, as those of a report are, and measured at the working size of the
command. Images that fail, and those without a lesion, are left out. The table of images has the columns image, melanoma
and split.
"""

import argparse
from pathlib import Path

import numpy as np

import skinseg
from skinseg import PretrainedSegmenter
from skinseg.bulk import measure_files
from skinseg.datasets import load_lesion_table
from skinseg.inspection import Population

OUT = Path(skinseg.__file__).parent / "weights" / "isic2017_population.json"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()

    data = load_lesion_table(options.table, target_column="melanoma", where={"split": "training"})
    features = measure_files(data.images, segmenter=PretrainedSegmenter(), n_jobs=options.jobs, verbose=1)
    measured = features["error"].eq("").to_numpy()
    groups = np.where(np.asarray(data.target) == 1, "melanoma", "benign")[measured]
    population = Population.from_table(
        features[measured],
        groups,
        description=(
            "training images of ISIC 2017 (CC-0, arXiv:1710.05006), reduced to a height of 256 pixels, outlined by "
            f"PretrainedSegmenter, measured by skinseg {skinseg.__version__}"
        ),
    )
    options.out.write_text(population.to_json() + "\n")
    print(f"{measured.sum()} of {len(measured)} images: {dict(population.sizes)}; {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
