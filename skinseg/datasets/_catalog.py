"""What is known of each published data set, in one table: title, license, citation, home page."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATALOG", "Dataset"]


@dataclass(frozen=True)
class Dataset:
    """A published data set, and under which terms it may be used.

    Parameters
    ----------
    name : str
        Short name, as in ``load_<name>``.
    title : str
        Full name.
    license : str
        SPDX identifier, or the terms in words where there is none.
    non_commercial : bool
        Whether commercial use is excluded (or nothing allows it).
    citation : str
        What to cite.
    home : str
        Web page.

    Examples
    --------
    >>> from skinseg.datasets import CATALOG
    >>> CATALOG["isic2017"].license, CATALOG["ham10000"].non_commercial
    ('CC0-1.0', True)
    """

    name: str
    title: str
    license: str
    non_commercial: bool
    citation: str
    home: str

    def describe(self) -> str:
        """Give title, license, citation and home page as a text of a few lines.

        Returns
        -------
        str
            The text, as it stands in ``DESCR``.
        """
        terms = f"{self.license} (no commercial use)" if self.non_commercial else self.license
        return f"{self.title}\nLicense: {terms}\nCite: {self.citation}\nHome: {self.home}"


_HAM10000 = (
    "Tschandl, P., Rosendahl, C., Kittler, H. The HAM10000 dataset, a large collection of multi-source dermatoscopic "
    "images of common pigmented skin lesions. Scientific Data 5, 180161 (2018), doi:10.1038/sdata.2018.161"
)
_CODELLA_2017 = (
    "Codella, N. C. F., et al. Skin Lesion Analysis Toward Melanoma Detection: A Challenge at the 2017 International "
    "Symposium on Biomedical Imaging (ISBI), Hosted by the International Skin Imaging Collaboration (ISIC). "
    "arXiv:1710.05006 (2017)"
)
_BCN20000 = (
    "Combalia, M., et al. BCN20000: Dermoscopic Lesions in the Wild. arXiv:1908.02288 (2019)"  # in ISIC 2019 and 2020
)

_DATASETS = (
    Dataset(
        "isic2016",
        "ISIC 2016 challenge: Skin Lesion Analysis Toward Melanoma Detection (ISBI 2016)",
        "CC0-1.0",
        False,
        "Gutman, D., et al. Skin Lesion Analysis toward Melanoma Detection: A Challenge at the International Symposium "
        "on Biomedical Imaging (ISBI) 2016, hosted by the International Skin Imaging Collaboration (ISIC). "
        "arXiv:1605.01397 (2016)",
        "https://challenge.isic-archive.com/data/#2016",
    ),
    Dataset(
        "isic2017",
        "ISIC 2017 challenge: Skin Lesion Analysis Toward Melanoma Detection (ISBI 2017)",
        "CC0-1.0",
        False,
        _CODELLA_2017,
        "https://challenge.isic-archive.com/data/#2017",
    ),
    Dataset(
        "isic2018",
        "ISIC 2018 challenge: Skin Lesion Analysis Towards Melanoma Detection",
        "CC-BY-NC-4.0",
        True,
        "Codella, N., et al. Skin Lesion Analysis Toward Melanoma Detection 2018: A Challenge Hosted by the "
        f"International Skin Imaging Collaboration (ISIC). arXiv:1902.03368 (2019); {_HAM10000}",
        "https://challenge.isic-archive.com/data/#2018",
    ),
    Dataset(
        "isic2019",
        "ISIC 2019 challenge: Skin Lesion Analysis Towards Melanoma Detection",
        "CC-BY-NC-4.0",
        True,
        f"{_HAM10000}; {_CODELLA_2017}; {_BCN20000}",
        "https://challenge.isic-archive.com/data/#2019",
    ),
    Dataset(
        "isic2020",
        "SIIM-ISIC 2020 challenge: Melanoma Classification",
        "CC-BY-NC-4.0",
        True,
        "Rotemberg, V., et al. A patient-centric dataset of images and metadata for identifying melanomas using "
        "clinical context. Scientific Data 8, 34 (2021), doi:10.1038/s41597-021-00815-z",
        "https://challenge2020.isic-archive.com/",
    ),
    Dataset(
        "ham10000",
        "HAM10000: Human Against Machine with 10,000 training images",
        "CC-BY-NC-4.0",
        True,
        f"{_HAM10000}; for the masks Tschandl, P., et al. Human-computer collaboration for skin cancer recognition. "
        "Nature Medicine 26, 1229-1234 (2020), doi:10.1038/s41591-020-0942-0",
        "https://doi.org/10.7910/DVN/DBW86T",
    ),
    Dataset(
        "ph2",
        "PH2: dermoscopic images of the Hospital Pedro Hispano",
        "for research and education only, not to be passed on",
        True,
        "Mendonça, T., Ferreira, P. M., Marques, J. S., Marçal, A. R. S., Rozeira, J. PH2 - A dermoscopic image "
        "database for research and benchmarking. 35th International Conference of the IEEE Engineering in Medicine "
        "and Biology Society, 5437-5440 (2013), doi:10.1109/EMBC.2013.6610779",
        "https://www.fc.up.pt/addi/ph2%20database.html",
    ),
    Dataset(
        "ima205",
        "IMA205 challenge of Télécom Paris: classification of dermoscopic images",
        "none stated; the images of 2022 and 2024 are of ISIC 2019 (CC-BY-NC-4.0)",
        True,
        f"the challenge, and for its images {_HAM10000}; {_CODELLA_2017}; {_BCN20000}",
        "https://www.kaggle.com/competitions/ima205-challenge-2024",
    ),
)

CATALOG: dict[str, Dataset] = {dataset.name: dataset for dataset in _DATASETS}
"""The published data sets by their short names."""
