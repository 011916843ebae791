"""Data: lesions made to order, published data sets in the layouts as they are downloaded, and tables of image files."""

from ._archive import fetch_isic_archive, load_isic_archive
from ._catalog import CATALOG, Dataset
from ._corrections import load_corrections
from ._describe import describe_dataset
from ._fetch import (
    fetch_by_name,
    fetch_ham10000,
    fetch_isic2016,
    fetch_isic2017,
    fetch_isic2018,
    fetch_isic2019,
    fetch_isic2020,
)
from ._ham10000 import load_ham10000
from ._ima205 import load_ima205
from ._isic import load_isic2016, load_isic2017
from ._isic2018 import load_isic2018
from ._isic2019 import load_isic2019, load_isic2020
from ._lesions import lesion_stream, make_lesions
from ._ph2 import load_ph2
from ._store import clear_data_home, get_data_home, list_datasets, verify_dataset
from ._table import load_lesion_table

__all__ = [
    "CATALOG",
    "Dataset",
    "clear_data_home",
    "describe_dataset",
    "fetch_by_name",
    "fetch_ham10000",
    "fetch_isic2016",
    "fetch_isic2017",
    "fetch_isic2018",
    "fetch_isic2019",
    "fetch_isic2020",
    "fetch_isic_archive",
    "get_data_home",
    "lesion_stream",
    "list_datasets",
    "load_corrections",
    "load_ham10000",
    "load_ima205",
    "load_isic2016",
    "load_isic2017",
    "load_isic2018",
    "load_isic2019",
    "load_isic2020",
    "load_isic_archive",
    "load_lesion_table",
    "load_ph2",
    "make_lesions",
    "verify_dataset",
]
