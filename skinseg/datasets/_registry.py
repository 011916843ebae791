"""Where the files of the published data sets are, and what their checksums are as far as they are known.

Addresses are those of the data page of the ISIC challenges (its sources name two hosts for the same files, the
second is tried where the first one fails) and of Harvard Dataverse. Checksums come from

- `DATAVERSE`: the publisher's own MD5, as Harvard Dataverse lists it with each file;
- `RECORDED`: no checksum by the publisher; what others have recorded of the same official file and at least two of
  them agree on (2017: dm_nevis of DeepMind and others, Part 1 the download scripts of three projects; 2018: torch-em
  and others; 2019: two data cards);
- `RECORDED_ONCE`: likewise, by one project alone (2020: a data card that gives the server's ETag beside it).

Files without a checksum are trusted when they are downloaded first; see ``fetch_isic2017``.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REGISTRY", "SUBSETS", "RemoteFile"]

DATAVERSE = "published by Harvard Dataverse"
RECORDED = "recorded by several projects, not by the publisher"
RECORDED_ONCE = "recorded by one project, not by the publisher"
SUBSETS = ("training", "validation", "test")
_ISIC = (
    "https://isic-archive.s3.amazonaws.com/challenges/{year}/{file}",
    "https://isic-challenge-data.s3.amazonaws.com/{year}/{file}",
)
_DATAVERSE = "https://dataverse.harvard.edu/api/access/datafile/{id}"


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set as it is published.

    Parameters
    ----------
    name : str
        Name of the file; a ``.zip`` is unpacked into a folder of the same name.
    urls : tuple of str
        Addresses, tried in this order.
    tasks : tuple of str
        Tasks of the challenge that need it; empty if all do.
    subset : str
        One of `SUBSETS`; empty if it belongs to all.
    megabytes : float
        About how large it is, as its home page says.
    checksum : str or None
        Algorithm and digest, such as ``"md5:..."``; None if none is known.
    source : str
        Where the checksum comes from.
    """

    name: str
    urls: tuple[str, ...]
    tasks: tuple[str, ...]
    subset: str
    megabytes: float
    checksum: str | None = None
    source: str = ""

    @property
    def packed(self) -> bool:
        """Whether it is an archive."""
        return self.name.endswith(".zip")

    @property
    def stored(self) -> str:
        """Name of what is kept: the folder of an archive, else the file."""
        return self.name.removesuffix(".zip")


def _isic(
    year: int, file: str, tasks: tuple[str, ...], megabytes: float, checksum: str | None = None, source: str = ""
) -> RemoteFile:
    (subset,) = [subset for subset in SUBSETS if f"_{subset.title()}_" in file]
    urls = tuple(url.format(year=year, file=file) for url in _ISIC)
    return RemoteFile(file, urls, tasks, subset, megabytes, checksum, source)


def _dataverse(file: str, query: str, megabytes: float, md5: str) -> RemoteFile:
    return RemoteFile(file, (_DATAVERSE.format(id=query),), (), "", megabytes, f"md5:{md5}", DATAVERSE)


OUTLINED = ("segmentation", "attributes")
REGISTRY: dict[str, tuple[RemoteFile, ...]] = {
    # the images of Part 3 are those of Part 1
    "isic2016": (
        _isic(2016, "ISBI2016_ISIC_Part1_Training_Data.zip", (), 602),
        _isic(2016, "ISBI2016_ISIC_Part1_Training_GroundTruth.zip", (), 6),
        _isic(2016, "ISBI2016_ISIC_Part1_Test_Data.zip", (), 232),
        _isic(2016, "ISBI2016_ISIC_Part1_Test_GroundTruth.zip", (), 2),
        _isic(2016, "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", (), 0.02),
        _isic(2016, "ISBI2016_ISIC_Part3_Test_GroundTruth.csv", (), 0.01),
    ),
    "isic2017": (
        _isic(2017, "ISIC-2017_Training_Data.zip", (), 5800,
              "md5:a14a7e622c67a358797ae59abb8a0b0c", RECORDED),
        _isic(2017, "ISIC-2017_Training_Part1_GroundTruth.zip", (), 9,
              "md5:77fdbeb6fbec4139937224416b250f4c", RECORDED),
        _isic(2017, "ISIC-2017_Training_Part3_GroundTruth.csv", (), 0.04,
              "md5:0cb4add57c65c22ca1a1cb469ad1f0c5", RECORDED_ONCE),
        _isic(2017, "ISIC-2017_Validation_Data.zip", (), 878,
              "md5:8d6419d942112f709894c0d82f6c9038", RECORDED),
        _isic(2017, "ISIC-2017_Validation_Part1_GroundTruth.zip", (), 0.6,
              "md5:64d3e68fa2deeb8a5e89aa8dec2efd44", RECORDED),
        _isic(2017, "ISIC-2017_Validation_Part3_GroundTruth.csv", (), 0.01,
              "md5:8d4826a76adcd8fb928ca52a23ebae4c", RECORDED_ONCE),
        _isic(2017, "ISIC-2017_Test_v2_Data.zip", (), 5400,
              "md5:5f6a0b5e1f2972bd1f5ea02680489f09", RECORDED),
        _isic(2017, "ISIC-2017_Test_v2_Part1_GroundTruth.zip", (), 18,
              "md5:b1742de6bd257faca3b2b21a4aa3b781", RECORDED),
        _isic(2017, "ISIC-2017_Test_v2_Part3_GroundTruth.csv", (), 0.01,
              "md5:9e957b72a0c4f9e0d924889fd03b36ed", RECORDED_ONCE),
    ),
    "isic2018": (
        _isic(2018, "ISIC2018_Task1-2_Training_Input.zip", OUTLINED, 11165,
              "sha256:80f98572347a2d7a376227fa9eb2e4f7459d317cb619865b8b9910c81446675f", RECORDED),
        _isic(2018, "ISIC2018_Task1_Training_GroundTruth.zip", OUTLINED, 26,
              "sha256:99f8b2bb3c4d6af483362010715f7e7d5d122d9f6c02cac0e0d15bef77c7604c", RECORDED),
        _isic(2018, "ISIC2018_Task1-2_Validation_Input.zip", OUTLINED, 228,
              "sha256:0ea920fcfe512d12a6e620b50b50233c059f67b10146e1479c82be58ff15a797", RECORDED),
        _isic(2018, "ISIC2018_Task1_Validation_GroundTruth.zip", OUTLINED, 0.8,
              "sha256:f6911e9c0a64e6d687dd3ca466ca927dd5e82145cb2163b7a1e5b37d7a716285", RECORDED),
        _isic(2018, "ISIC2018_Task1-2_Test_Input.zip", OUTLINED, 2200,
              "sha256:e59ae1f69f4ed16f09db2cb1d76c2a828487b63d28f6ab85997f5616869b127d", RECORDED),
        _isic(2018, "ISIC2018_Task1_Test_GroundTruth.zip", OUTLINED, 9,
              "sha256:2e8f6edce454a5bdee52485e39f92bd6eddf357e81f39018d05512175238ef82", RECORDED),
        _isic(2018, "ISIC2018_Task2_Training_GroundTruth_v3.zip", ("attributes",), 33),
        _isic(2018, "ISIC2018_Task2_Validation_GroundTruth.zip", ("attributes",), 1),
        _isic(2018, "ISIC2018_Task2_Test_GroundTruth.zip", ("attributes",), 11),
        _isic(2018, "ISIC2018_Task3_Training_Input.zip", ("classification",), 2600),
        _isic(2018, "ISIC2018_Task3_Training_GroundTruth.zip", ("classification",), 0.04),
        _isic(2018, "ISIC2018_Task3_Training_LesionGroupings.csv", ("classification",), 0.5),
        _isic(2018, "ISIC2018_Task3_Validation_Input.zip", ("classification",), 51),
        _isic(2018, "ISIC2018_Task3_Validation_GroundTruth.zip", ("classification",), 0.01),
        _isic(2018, "ISIC2018_Task3_Test_Input.zip", ("classification",), 401),
        _isic(2018, "ISIC2018_Task3_Test_GroundTruth.zip", ("classification",), 0.02),
    ),
    "isic2019": (
        _isic(2019, "ISIC_2019_Training_Input.zip", (), 9772,
              "sha256:5075020b720c8f1b9b7f3ff85326c55ce0435e5906c41fbd338994feef886df1", RECORDED),
        _isic(2019, "ISIC_2019_Training_GroundTruth.csv", (), 1.3,
              "sha256:aa88e9638fe4df9ef330dc4ba22fa4bd475c44af692fffb870c73091ab25cdcd", RECORDED),
        _isic(2019, "ISIC_2019_Training_Metadata.csv", (), 1.2,
              "sha256:d93994a8ed201d474de9a7af7e17ec30929cbc4a5220659ecbde17cbe83e9316", RECORDED),
        _isic(2019, "ISIC_2019_Test_Input.zip", (), 3600),
        _isic(2019, "ISIC_2019_Test_GroundTruth.csv", (), 0.5),
        _isic(2019, "ISIC_2019_Test_Metadata.csv", (), 0.3),
    ),
    "isic2020": (
        _isic(2020, "ISIC_2020_Training_JPEG.zip", (), 24708),
        _isic(2020, "ISIC_2020_Training_GroundTruth_v2.csv", (), 2.4,
              "sha256:a1c7c97c59e5f49232dfe3b6f6817efaaee5dbf9bcb4ce584c1889e641be5c4e", RECORDED_ONCE),
        _isic(2020, "ISIC_2020_Training_Duplicates.csv", (), 0.01,
              "sha256:ddfd6c2d42430bd3581f3b2116bdb1433462a7109c715a02bf7f51115fcfabce", RECORDED_ONCE),
        _isic(2020, "ISIC_2020_Test_JPEG.zip", (), 6700),
        _isic(2020, "ISIC_2020_Test_Metadata.csv", (), 0.5),
    ),
    # the original of the table, for that is what Dataverse's checksum is of
    "ham10000": (
        _dataverse("HAM10000_images_part_1.zip", "3172585", 1367, "4639bfa73ab251610530a97c898e6e46"),
        _dataverse("HAM10000_images_part_2.zip", "3172584", 1404, "da43d6cc50f6613013be07e8986b384b"),
        _dataverse("HAM10000_metadata.csv", "4338392?format=original", 0.7, "8f85fb1aa29d80a2797247e434deb79d"),
        _dataverse("HAM10000_segmentations_lesion_tschandl.zip", "3838943", 11, "6e8d252e09cfdb0189199f15985a5b84"),
    ),
}  # fmt: skip
"""The files of each data set that can be downloaded."""
