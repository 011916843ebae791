"""pyradiomics: 2-D shape, first order and GLCM of one gray channel, 51 features."""

import logging
from importlib.metadata import version

import numpy as np
import radiomics
import SimpleITK as sitk
from radiomics import featureextractor, firstorder, glcm, imageoperations, shape2D
from worker import Task, each, serve

radiomics.setVerbosity(60)
logging.getLogger("radiomics").setLevel(logging.CRITICAL)
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

CLASSES = {
    "shape2D": shape2D.RadiomicsShape2D,
    "firstorder": firstorder.RadiomicsFirstOrder,
    "glcm": glcm.RadiomicsGLCM,
}


def arrays(case):
    return case.gray[None], case.mask.astype(np.uint8)[None]


def as_itk(planes):
    """One slice of a volume: with `force2D` that gives the four directions within the plane (2-D images give one)."""
    return tuple(sitk.GetImageFromArray(plane) for plane in planes)


def ready(case):
    return as_itk(arrays(case))


def make_extractor(names=tuple(CLASSES)):
    # defaults but for the plane: bins of 25, no resampling, no filter; no hashes and versions beside the features
    extractor = featureextractor.RadiomicsFeatureExtractor(force2D=True, additionalInfo=False)
    extractor.disableAllFeatures()
    for name in names:
        extractor.enableFeatureClassByName(name)
    return extractor


def directly(images):
    """Call the three classes as the extractor does, without what it does around them."""
    image, mask = images
    box, _ = imageoperations.checkMask(image, mask, label=1)
    image, mask = imageoperations.cropToTumorMask(image, mask, box)
    found = {}
    for name, kind in CLASSES.items():
        features = kind(image, mask, label=1, force2D=True)
        features.enableAllFeatures()
        found |= {f"{name}_{feature}": float(value) for feature, value in features.execute().items()}
    return found


if __name__ == "__main__":
    extractor, shapes = make_extractor(), make_extractor(["shape2D"])
    serve(
        {
            "extractor, from arrays": Task(
                arrays, each(lambda planes: extractor.execute(*as_itk(planes), label=1)), 51
            ),
            "classes, SimpleITK images ready": Task(ready, each(directly), 51),
            "shape2D alone": Task(ready, each(lambda images: shapes.execute(*images, label=1)), 9),
        },
        {name: version(name) for name in ("pyradiomics", "SimpleITK", "numpy")},
        lambda case: directly(ready(case)),
    )
