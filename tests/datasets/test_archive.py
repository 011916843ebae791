"""The ISIC Archive through its client, which a script stands in for here."""

import json
import os
import stat
import sys

import layouts
import numpy as np
import pandas as pd
import pytest
from faulty_server import names

from skinseg.datasets import clear_data_home, fetch_isic_archive, load_isic_archive
from skinseg.exceptions import MissingFilesError, MissingFilesWarning

# writes what isic-cli 12 writes: metadata to --outfile, or images, metadata.csv and attribution.txt to the folder
CLIENT = """#!{python}
import json, os, shutil, sys
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "calls.json"), "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
rows = open(os.path.join(here, "metadata.csv"), encoding="utf8").read()
limit = next((int(a[8:]) for a in sys.argv if a.startswith("--limit=")), 99)
rows = "".join(rows.splitlines(True)[: limit + 1])
if os.path.exists(os.path.join(here, "fail")):
    print("Downloading")
    print("Error: Improperly formatted value \\u201c7x\\u201d.", file=sys.stderr)
    sys.exit(2)
if "--search=nothing" in sys.argv:
    sys.exit(0)
if sys.argv[1:3] == ["metadata", "download"]:
    path = next(a[10:] for a in sys.argv if a.startswith("--outfile="))
    open(path, "w", encoding="utf8").write(rows)
else:
    assert sys.argv[1:3] == ["image", "download"]
    out = sys.argv[-1]
    os.makedirs(out, exist_ok=True)
    for line in rows.splitlines()[1:]:
        key = line.split(",")[0]
        if key != "ISIC_0000003":
            shutil.copy(os.path.join(here, "image.jpg"), os.path.join(out, key + ".jpg"))
    open(os.path.join(out, "metadata.csv"), "w", encoding="utf8").write(rows)
    open(os.path.join(out, "attribution.txt"), "w", encoding="utf8").write("Anonymous")
    print("Successfully downloaded images to " + out)
"""
TABLE = pd.DataFrame(
    {
        "isic_id": [f"ISIC_{number:07d}" for number in range(5)],
        "attribution": ["Anonymous", "ViDIR, Vienna", "Anonymous", "Anonymous", "Anonymous"],
        "copyright_license": ["CC-0", "CC-BY-NC", "CC-BY", "CC-0", "CC-0"],
        "age_approx": [50, 35, None, 60, 80],
        "anatom_site_general": ["head/neck", None, "anterior torso", None, "lower extremity"],
        "diagnosis_1": ["Malignant", "Benign", None, "Benign", "Indeterminate"],
        "diagnosis_3": ["Melanoma Invasive", "Nevus", None, "Nevus", None],
        "lesion_id": ["IL_1", "IL_1", "IL_2", "IL_3", None],
        "patient_id": ["IP_1", None, None, "IP_1", None],
        "sex": ["male", "female", None, "male", "female"],
    }
)


@pytest.fixture
def client(tmp_path):
    folder = tmp_path / "client's folder"
    folder.mkdir()
    TABLE.to_csv(folder / "metadata.csv", index=False)
    layouts.write_image(folder / "image.jpg")
    path = folder / "isic"
    path.write_text(CLIENT.replace("{python}", sys.executable), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def calls(client):
    path = client.parent / "calls.json"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a first line")


def test_fetch(client, tmp_path):
    query = 'diagnosis_3:"Melanoma Invasive" AND age_approx:[5 TO 25]; rm -rf $HOME'
    with pytest.warns(MissingFilesWarning, match=r"1 of 5 image files .*ISIC_0000003\.jpg: missing"):
        data = fetch_isic_archive(
            tmp_path / "home", query=query, collections=[70, np.int64(65)], accept_license=True, executable=str(client)
        )
    (folder,) = (tmp_path / "home" / "isic_archive").iterdir()
    options = [f"--search={query}", "--collections=70,65"]  # as they are: there is no shell
    assert calls(client) == [
        ["metadata", "download", *options, f"--outfile={folder / '.selected.csv'}"],
        ["image", "download", *options, str(folder)],
    ]
    assert [path.name for path in data.images] == [f"ISIC_{number:07d}.jpg" for number in (0, 1, 2, 4)]
    assert data.images[0].parent == folder
    assert data.target.tolist() == ["Malignant", "Benign", None, "Indeterminate"]
    assert data.target_names.tolist() == ["Benign", "Indeterminate", "Malignant"]
    assert data.groups.tolist() == ["IP_1", "IP_1", "IL_2", "ISIC_0000004"]  # lesion 1 is of patient 1
    assert data.frame["copyright_license"].tolist() == ["CC-0", "CC-BY-NC", "CC-BY", "CC-0"]
    assert data.frame["age_approximate"].tolist()[:2] == [50, 35]
    assert data.frame["sex"].tolist() == ["male", "female", None, "female"]
    assert data.missing["item"].tolist() == ["ISIC_0000003"]
    assert "3 images CC-0" in data.DESCR
    assert "Target: diagnosis_1" in data.DESCR
    assert names(folder) == ["ISIC_0000000.jpg", "ISIC_0000001.jpg", "ISIC_0000002.jpg", "ISIC_0000004.jpg",
                             "attribution.txt", "metadata.csv", "selection.txt"]  # fmt: skip
    again = load_isic_archive(folder, target="diagnosis_3", on_missing="ignore")
    assert again.target.tolist() == ["Melanoma Invasive", "Nevus", None, None]


def test_licenses_are_asked_for_before_an_image_is_downloaded(client, tmp_path, monkeypatch):
    monkeypatch.delenv("SKINSEG_ACCEPT_LICENSE", raising=False)
    home = tmp_path / "home"
    with pytest.raises(ValueError, match=r"non-commercial use only \(1 of 5 images CC-BY-NC\).*accept_license=True"):
        fetch_isic_archive(home, collections=70, executable=str(client))
    assert [call[0] for call in calls(client)] == ["metadata"]
    assert [path.name for path in home.rglob("*.*")] == ["selection.txt"]
    data = fetch_isic_archive(home, limit=1, executable=str(client))  # which is CC-0
    assert len(data.images) == 1
    monkeypatch.setenv("SKINSEG_ACCEPT_LICENSE", "isic_archive")
    assert len(fetch_isic_archive(home, limit=3, executable=str(client)).images) == 3
    assert len(list((home / "isic_archive").iterdir())) == 3  # each selection in a folder of its own
    clear_data_home(home)
    assert not home.exists()


def test_the_client_is_not_there_or_fails(client, tmp_path, monkeypatch):
    with pytest.raises(ImportError, match="'no-such-isic', is not installed: pip install isic-cli"):
        fetch_isic_archive(tmp_path / "home", limit=1, executable="no-such-isic")
    assert not (tmp_path / "home").exists()
    (client.parent / "fail").touch()
    monkeypatch.setenv("PATH", str(client.parent), prepend=os.pathsep)
    text = r"isic metadata download ended with exit code 2:\nDownloading\nError: Improperly formatted value “7x”\."
    with pytest.raises(OSError, match=text):
        fetch_isic_archive(tmp_path / "home", limit=1)
    client.write_text("no script")
    with pytest.raises(ImportError, match=r"isic cannot be run \(Exec format error\)"):
        fetch_isic_archive(tmp_path / "home", limit=1)


def test_what_the_client_writes_is_shown_on_request(client, tmp_path, capfd):
    fetch_isic_archive(tmp_path / "home", limit=1, executable=str(client))
    assert capfd.readouterr() == ("", "")
    fetch_isic_archive(tmp_path / "home", limit=1, executable=str(client), verbose=True)
    assert "Successfully downloaded images" in capfd.readouterr().err


def test_selections_that_are_wrong_or_empty(client, tmp_path):
    with pytest.raises(ValueError, match="nothing is selected"):
        fetch_isic_archive(tmp_path, executable=str(client))
    with pytest.raises(ValueError, match="limit must be a whole number of at least 1, got 0"):
        fetch_isic_archive(tmp_path, limit=0, executable=str(client))
    with pytest.raises(ValueError, match=r"numbers of collections \(isic collection list\), got 'seventy'"):
        fetch_isic_archive(tmp_path, collections=[70, "seventy"], executable=str(client))
    assert not calls(client)
    with pytest.raises(ValueError, match="no image of the ISIC Archive fits --search=nothing"):
        fetch_isic_archive(tmp_path, query="nothing", executable=str(client))


def test_load_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Looked for, in it and below: metadata\.csv"):
        load_isic_archive(tmp_path)
    TABLE.to_csv(tmp_path / "metadata.csv", index=False)
    with pytest.raises(ValueError, match=r"no column 'melanoma' \(target\)"):
        load_isic_archive(tmp_path, target="melanoma")
    with pytest.raises(MissingFilesError, match="no image that can be used"):
        load_isic_archive(tmp_path, on_missing="ignore")


def test_a_table_without_classes_and_groups(tmp_path):
    TABLE[["isic_id"]][:2].to_csv(tmp_path / "metadata.csv", index=False)
    for number in range(2):
        layouts.write_image(tmp_path / f"ISIC_{number:07d}.jpg")
    data = load_isic_archive(tmp_path)
    assert data.target is None
    assert data.groups.tolist() == ["ISIC_0000000", "ISIC_0000001"]
