"""Draw the pictures of docs/abcd_rule.md: lesions of known properties, and what is measured on them.

``python benchmarks/experiments/abcd_pictures.py docs/images`` writes them. Nothing on them is a photograph.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from skinseg import ABCDFeaturizer, LesionImage
from skinseg.datasets import make_lesions
from skinseg.inspection import ABCDDisplay, LesionDisplay

PLAIN = {
    "difficulty": "easy",
    "diameter_fraction": 0.62,
    "min_side": 400,
    "max_side": 420,
    "hair_fraction": 0.0,
    "tone": 0.1,
    "border_irregularity": 0.1,
    "asymmetry_shape": 0.0,
    "asymmetry_color": 0.0,
    "asymmetry_structure": 0.0,
    "n_colors": 2,
    "n_abrupt_octants": 8,
    "n_structures": 1,
}
EXAMPLE = {"asymmetry_shape": 0.5, "asymmetry_color": 0.6, "n_colors": 4, "n_structures": 3, "n_abrupt_octants": 4}
"""Dials of the lesion of the worked example."""


def make_one(seed=0, **dials):
    """Draw one lesion, plain but for the dials: a record with its true outline."""
    lesions = make_lesions(1, random_state=seed, melanoma_fraction=1.0, **(PLAIN | dials))
    return LesionImage(lesions.images[0], lesions.masks[0], pixel_size=lesions.frame["pixel_size"][0])


def make_example():
    """Draw the lesion of the worked example, as the page does."""
    lesions = make_lesions(
        1, random_state=0, melanoma_fraction=1.0, difficulty="easy", min_side=420, max_side=440, diameter_fraction=0.6,
        **EXAMPLE,
    )  # fmt: skip
    return LesionImage(lesions.images[0], lesions.masks[0])


def rows_of(panels, records, titles):
    """Draw one or more panels of each record: a column a record, a row a panel."""
    heights = [2.3 if panel == "outline" else 3.1 for panel in panels]  # most have a legend below
    figure = plt.figure(figsize=(2.6 * len(records), sum(heights)), layout="constrained")
    parts = figure.subfigures(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    axes = np.array([part.subplots(1, len(records), squeeze=False)[0] for part in parts])
    for column, record, title in zip(axes.T, records, titles, strict=True):
        if panels[0] == "outline":
            LesionDisplay.from_predictions(record, margin=0.25, ax=column[0])
            column[0].set_title(title)
        rest = [panel for panel in panels if panel != "outline"]
        ABCDDisplay.from_predictions(record, panels=rest, axes=list(column[-len(rest) :]))
    return figure


def asymmetry():
    """Lesions of an asymmetry of 0, 1 and 2."""
    records = [
        make_one(3, n_colors=1),
        make_one(5, asymmetry_shape=0.35),
        make_one(4, asymmetry_shape=0.5, asymmetry_color=0.8, n_colors=3),
    ]
    return rows_of(["asymmetry"], records, [None] * 3)


def border():
    """Pigment that ends abruptly nowhere, in a half of the octants, everywhere."""
    return rows_of(["border"], [make_one(2, n_abrupt_octants=number) for number in (0, 4, 8)], [None] * 3)


def color():
    """One, three and six colors: the image above, the colors that were found below."""
    colors = ["dark_brown"], ["light_brown", "dark_brown", "black"], None
    dials = [{"n_colors": 6} if some is None else {"n_colors": len(some), "colors": some} for some in colors]
    return rows_of(["outline", "color"], [make_one(6, **dial) for dial in dials], [""] * 3)


def structure():
    """One structure at a time."""
    names = ["network", "homogeneous", "streaks", "dots", "globules"]
    records = [make_one(9, structures=[name], n_structures=1, colors=["light_brown"], n_colors=1) for name in names]
    return rows_of(["outline", "structure"], records, [f"drawn: {name}" for name in names])


def example():
    """All panels of the worked example."""
    return ABCDDisplay.from_predictions(make_example()).figure_


PICTURES = (example, asymmetry, border, color, structure)


def save(figure, path, dpi):
    """Write a picture as JPEG, colors at full resolution, so that text and thin lines stay sharp."""
    figure.set_dpi(dpi)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    Image.fromarray(pixels).save(path, quality=86, subsampling=0, optimize=True)


def main(arguments=None):
    """Write the pictures, and say what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dpi", type=int, default=80)
    options = parser.parse_args(arguments)
    mpl.use("Agg")
    for draw in PICTURES:
        figure = draw()
        save(figure, options.folder / f"abcd_{draw.__name__}.jpg", options.dpi)
        plt.close(figure)
    measured = ABCDFeaturizer().explain(make_example()).measured
    for name in ("asymmetry_score", "border_score", "color_count", "structure_count", "tds"):
        print(f"{name}: {measured[name]:g}")


if __name__ == "__main__":
    main()
