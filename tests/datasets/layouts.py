"""Small folders in the layouts of published data sets, with made-up images and classes."""

import cv2
import numpy as np
import pandas as pd

HEIGHT, WIDTH = 24, 32
PIXELS = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
DISC = (np.hypot(*np.mgrid[-12:12, -16:16]) < 8).astype(np.uint8) * 255
ENCODED = {
    **{suffix: cv2.imencode(suffix, PIXELS)[1].tobytes() for suffix in (".jpg", ".bmp", ".png")},
    **{f"mask{suffix}": cv2.imencode(suffix, DISC)[1].tobytes() for suffix in (".jpg", ".bmp", ".png")},
}


def write_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ENCODED[path.suffix.lower()])


def write_mask(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ENCODED["mask" + path.suffix.lower()])


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_table(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_csv(path, index=False)


def cut(path):
    """Cut a file short, as a download that was broken off."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def ids_of(n, start=0):
    return [f"ISIC_{number:07d}" for number in range(start, start + n)]


def write_isic2016(folder, n=6, n_test=4):
    """Part 1 and Part 3; every third is malignant. The tables have no header, and the test one has numbers."""
    for name, ids in (("Training", ids_of(n)), ("Test", ids_of(n_test, 500))):
        for key in ids:
            write_image(folder / f"ISBI2016_ISIC_Part1_{name}_Data" / f"{key}.jpg")
            write_image(folder / f"ISBI2016_ISIC_Part3_{name}_Data" / f"{key}.jpg")
            write_mask(folder / f"ISBI2016_ISIC_Part1_{name}_GroundTruth" / f"{key}_Segmentation.png")
        words = ("malignant", "benign") if name == "Training" else ("1.0", "0.0")
        lines = [f"{key},{words[index % 3 > 0]}" for index, key in enumerate(ids)]
        write_text(folder / f"ISBI2016_ISIC_Part3_{name}_GroundTruth.csv", "\n".join(lines) + "\n")


def write_isic2017(folder, n=6, n_validation=3, n_test=3):
    """All three parts; classes go melanoma, seborrheic keratosis, nevus, melanoma, ..."""
    sizes = {"Training": (n, 0), "Validation": (n_validation, 1000), "Test_v2": (n_test, 2000)}
    for name, (size, start) in sizes.items():
        ids = ids_of(size, start)
        data = folder / f"ISIC-2017_{name}_Data"
        for key in ids:
            write_image(data / f"{key}.jpg")
            write_image(data / f"{key}_superpixels.png")
            write_mask(folder / f"ISIC-2017_{name}_Part1_GroundTruth" / f"{key}_segmentation.png")
        order = np.arange(size)
        write_table(
            data / f"ISIC-2017_{name}_Data_metadata.csv",
            image_id=ids,
            age_approximate=["unknown" if index % 3 == 1 else 5 * index + 20 for index in order],
            sex=[("female", "male", "unknown")[index % 3] for index in order],
        )
        write_table(
            folder / f"ISIC-2017_{name}_Part3_GroundTruth.csv",
            image_id=ids,
            melanoma=(order % 3 == 0).astype(float),
            seborrheic_keratosis=(order % 3 == 1).astype(float),
        )


ATTRIBUTES = ("pigment_network", "negative_network", "streaks", "milia_like_cyst", "globules")


def one_hot(names, classes):
    return {column: [float(name == column) for name in names] for column in classes}


def write_isic2018(folder, n=4, n_classified=8):
    for name, start in (("Training", 0), ("Validation", 1000), ("Test", 2000)):
        for key in ids_of(n, start):
            write_image(folder / f"ISIC2018_Task1-2_{name}_Input" / f"{key}.jpg")
            write_mask(folder / f"ISIC2018_Task1_{name}_GroundTruth" / f"{key}_segmentation.png")
            version = "_v3" if name == "Training" else ""
            for attribute in ATTRIBUTES:
                write_mask(folder / f"ISIC2018_Task2_{name}_GroundTruth{version}" / f"{key}_attribute_{attribute}.png")
        write_text(folder / f"ISIC2018_Task1-2_{name}_Input" / "LICENSE.txt", "CC BY-NC 4.0")
    classes = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
    for name, start in (("Training", 24306), ("Validation", 34321), ("Test", 34524)):
        ids = ids_of(n_classified, start)
        for key in ids:
            write_image(folder / f"ISIC2018_Task3_{name}_Input" / f"{key}.jpg")
        names = [classes[index % 7] for index in range(n_classified)]
        table = folder / f"ISIC2018_Task3_{name}_GroundTruth" / f"ISIC2018_Task3_{name}_GroundTruth.csv"
        write_table(table, image=ids, **one_hot(names, classes))
    ids = ids_of(n_classified, 24306)
    write_table(
        folder / "ISIC2018_Task3_Training_LesionGroupings.csv",
        image=ids[::-1],  # in an order of its own
        lesion_id=[f"HAM_{(n_classified - 1 - index) // 2:07d}" for index in range(n_classified)],
        diagnosis_confirm_type="histopathology",
    )


def write_isic2019(folder, n=9, n_test=4):
    classes = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
    ids = [f"{key}_downsampled" if index == 2 else key for index, key in enumerate(ids_of(n))]
    for key in ids:
        write_image(folder / "ISIC_2019_Training_Input" / f"{key}.jpg")
    names = [classes[index % 8] for index in range(n)]
    write_table(folder / "ISIC_2019_Training_GroundTruth.csv", image=ids, **one_hot(names, classes))
    write_table(
        folder / "ISIC_2019_Training_Metadata.csv",
        image=ids,
        age_approx=[None if index == 1 else 30.0 + 5 * index for index in range(n)],
        anatom_site_general=[("anterior torso", "head/neck", None)[index % 3] for index in range(n)],
        lesion_id=[None if index == 3 else f"BCN_{index // 2:07d}" for index in range(n)],
        sex=[("female", "male")[index % 2] for index in range(n)],
    )
    ids = ids_of(n_test, 60000)
    for key in ids:
        write_image(folder / "ISIC_2019_Test_Input" / f"{key}.jpg")
    names = [("UNK", "MEL", "NV", "SCC")[index % 4] for index in range(n_test)]
    weights = {"score_weight": 1.0, "validation_weight": 0.0}
    write_table(folder / "ISIC_2019_Test_GroundTruth.csv", image=ids, **one_hot(names, classes), **weights)
    columns = {"age_approx": 50.0, "anatom_site_general": "lower extremity", "sex": "male"}
    write_table(folder / "ISIC_2019_Test_Metadata.csv", image=ids, **columns)


def write_isic2020(folder, n=6, n_test=3, *, kaggle=False):
    """Patients have two images each; image 4 is a copy of image 0, of another patient."""
    ids, test = ids_of(n, 2637011), ids_of(n_test, 52060)
    for key in ids:
        write_image(folder / ("jpeg/train" if kaggle else "train") / f"{key}.jpg")
    for key in test:
        write_image(folder / ("jpeg/test" if kaggle else "ISIC_2020_Test_Input") / f"{key}.jpg")
    columns = {
        "image_name": ids,
        "patient_id": [f"IP_{index // 2}" for index in range(n)],
        "lesion_id": [f"IL_{index}" for index in range(n)],
        "sex": "male",
        "age_approx": 45.0,
        "anatom_site_general_challenge": "palms/soles",
        "diagnosis": [("melanoma", "unknown", "nevus")[index % 3] for index in range(n)],
        "benign_malignant": [("malignant", "benign")[index % 3 > 0] for index in range(n)],
        "target": [int(index % 3 == 0) for index in range(n)],
    }
    if kaggle:
        columns.pop("lesion_id")
        write_table(folder / "train.csv", **columns)
        write_table(folder / "test.csv", image_name=test, patient_id="IP_9", sex="female", age_approx=50.0)
    else:
        write_table(folder / "ISIC_2020_Training_GroundTruth_v2.csv", **columns)
        write_table(folder / "ISIC_2020_Training_Duplicates.csv", image_name_1=[ids[0]], image_name_2=[ids[4]])
        test_columns = {"patient": "IP_9", "age_approx": 50.0, "anatom_site_general": "head/neck", "sex": "female"}
        write_table(folder / "ISIC_2020_Test_Metadata.csv", image=test, **test_columns)


def write_ham10000(folder, n=8, *, metadata="HAM10000_metadata", separator=",", masks=True):
    classes = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    ids = ids_of(n, 24306)
    for index, key in enumerate(ids):
        write_image(folder / f"HAM10000_images_part_{1 + index % 2}" / f"{key}.jpg")
        if masks:
            write_mask(folder / "HAM10000_segmentations_lesion_tschandl" / f"{key}_segmentation.png")
            write_text(folder / "__MACOSX" / f"._{key}_segmentation.png", "no image")
    table = pd.DataFrame(
        {
            "lesion_id": [f"HAM_{index // 2:07d}" for index in range(n)],
            "image_id": ids,
            "dx": [classes[index % 7] for index in range(n)],
            "dx_type": "histo",
            "age": [None if index == 0 else 40.0 + index for index in range(n)],
            "sex": [("unknown", "female", "male")[index % 3] for index in range(n)],
            "localization": [("back", "unknown", "genital", "acral", "trunk")[index % 5] for index in range(n)],
            "dataset": "vidir_modern",
        }
    )
    table.to_csv(folder / metadata, index=False, sep=separator)


PH2_HEADER = (
    "||   Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry | Pigment Network | Dots/Globules | "
    "Streaks | Regression Areas | Blue-Whitish Veil ||           Colors ||"
)
PH2_ROWS = [  # name, histology, clinical, six criteria, colors
    ("IMD002", "", 1, 0, "T", "A", "A", "A", "A", (3, 4)),
    ("IMD003", "", 0, 0, "T", "A", "A", "A", "A", (4,)),
    ("IMD058", "Melanoma", 2, 2, "AT", "AT", "P", "P", "P", (1, 4, 5, 6)),
    ("IMD061", "Compound Nevus", 1, 1, "AT", "T", "A", "A", "A", (3,)),
]


def write_ph2(folder, *, suffix=".bmp"):
    root = folder / "PH2Dataset"
    lines = [PH2_HEADER]
    for name, histology, clinical, *criteria, colors in PH2_ROWS:
        case = root / "PH2 Dataset images" / name
        write_image(case / f"{name}_Dermoscopic_Image" / f"{name}{suffix}")
        write_mask(case / f"{name}_lesion" / f"{name}_lesion{suffix}")
        for number, color in enumerate(colors, 1):
            write_mask(case / f"{name}_roi" / f"{name}_R{number}_Label{color}{suffix}")
        middle = " | ".join(f"{value:>15}" for value in criteria)
        codes = "  ".join(map(str, colors))
        lines.append(f"|| {name} || {histology:>22} || {clinical:>18} || {middle} || {codes:>16} ||")
    legend = ["", "Legends", "Histological Diagnosis:", "    Clinical Diagnosis: 0 - Common Nevus; 1 - Atypical Nevus;"]
    write_text(root / "PH2_dataset.txt", "\n".join(lines + legend) + "\n")


def write_ima205(folder, edition, n=6, n_test=4):
    if edition == "2019":
        ids, test = ([f"IM_{index:06d}" for index in numbers] for numbers in (range(n), range(n, n + n_test)))
        for key in ids + test:
            write_image(folder / "data" / "im" / f"{key}.jpg")
            write_mask(folder / "data" / "im" / f"{key}_segmentation.jpg")
        write_table(folder / "data" / "train.csv", ImageId=ids, Malignant=[index % 2 for index in range(n)])
        write_table(folder / "data" / "test.csv", ImageId=test, Malignant=0)
        return
    for name, ids in (("Train", ids_of(n)), ("Test", ids_of(n_test, 500))):
        for index, key in enumerate(ids):
            write_image(folder / name / name / f"{key}.jpg")
            if index % 2 == 0:
                write_mask(folder / name / name / f"{key}_seg.png")
        order = range(len(ids))
        columns = {"SEX": "male", "AGE": [40.0 + index for index in order], "POSITION": "head/neck"}
        classes = {"CLASS": [1 + index % 8 for index in order]} if name == "Train" else {}
        write_table(folder / f"metadata{name}.csv", ID=ids, **classes, **columns)
