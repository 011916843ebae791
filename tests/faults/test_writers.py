"""Whatever is written goes through `skinseg._files`: complete or not there."""

import ast
from pathlib import Path

import pytest

import skinseg

ROOT = Path(skinseg.__file__).parent
# calls that could write a file, or give one its name, and why each is none that could be seen half-written
ALLOWED = {
    ("datasets/_download.py", "open"): "a part of a download, which is gone on with, and gets its name at the end",
    ("datasets/_download.py", "os.replace"): "gives a complete download its name",
    ("datasets/_store.py", "os.replace"): "gives a file its name, after its checksum",
    ("datasets/_unpack.py", "open"): "in a folder that gets its name when all is unpacked",
    ("datasets/_unpack.py", "os.replace"): "gives that folder its name",
    ("evaluation/_figures.py", "savefig"): "into memory",
    ("inspection/_report_findings.py", "save"): "into memory",
    ("networks/_checkpoint.py", "np.savez"): "into memory",
}
ALWAYS = {
    "write_text", "write_bytes", "imwrite", "imsave", "savefig", "savez", "savez_compressed", "tofile", "to_excel",
    "to_pickle", "to_json", "to_hdf", "to_feather", "copyfile", "copy2", "copytree", "move", "link", "symlink",
    "symlink_to", "hardlink_to", "touch",
}  # fmt: skip


def name_of(call):
    """Give the name of what is called, with its module where that tells more: ``os.replace``."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id
    if not isinstance(function, ast.Attribute):
        return ""
    known = isinstance(function.value, ast.Name) and function.value.id in ("os", "shutil", "np", "json", "pickle")
    return f"{function.value.id}.{function.attr}" if known else function.attr


def writes(call):
    """Whether a call may write a file; a text may be replaced, and a table renamed."""
    name = name_of(call)
    short = name.rpartition(".")[2]
    options = {keyword.arg for keyword in call.keywords}
    if name == "open" or (short == "open" and name != "os.open"):
        mode = call.args[1 if name == "open" else 0 :][:1] if isinstance(call.func, ast.Name) else call.args[:1]
        given = [*mode, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
        return any(not isinstance(one, ast.Constant) or set("wax+") & set(str(one.value)) for one in given) and (
            isinstance(call.func, ast.Name) or any(isinstance(one, ast.Constant) for one in given)
        )
    if short in ("to_csv", "to_parquet") or (short == "save" and isinstance(call.func, ast.Attribute)):
        return bool(call.args) or "path" in options
    if name == "os.open":
        return any(flag in ast.unparse(call) for flag in ("O_WRONLY", "O_RDWR", "O_CREAT"))
    if name in ("os.fdopen", "os.replace", "os.rename", "shutil.copy", "np.save", "json.dump", "pickle.dump"):
        return True
    if name in ("rename", "replace"):
        return len(call.args) == 1 and not options
    return short in ALWAYS


def writers():
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        if place == "_files.py" or place.startswith("testing/"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and writes(node):
                found.setdefault((place, name_of(node)), []).append(node.lineno)
    return found


def test_files_are_written_in_one_way():
    found = writers()
    others = {f"{place}:{lines[0]}: {name}" for (place, name), lines in found.items() if (place, name) not in ALLOWED}
    assert not others, "write with skinseg._files.write_file (or growing_file), or say in ALLOWED why not"
    assert set(ALLOWED) <= set(found), "what is no longer there needs no leave"


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("open(path)", False),
        ("open(path, 'rb')", False),
        ("open(path, 'w')", True),
        ("open(path, mode='ab')", True),
        ("open(path, mode)", True),
        ("path.open('rb')", False),
        ("path.open('xb')", True),
        ("Image.open(path)", False),
        ("path.write_text(text)", True),
        ("table.to_csv(index=False)", False),
        ("table.to_csv(path)", True),
        ("path.replace(other)", True),
        ("text.replace('a', 'b')", False),
        ("table.rename(columns=names)", False),
        ("os.replace(a, b)", True),
        ("os.open(path, os.O_RDONLY)", False),
        ("os.open(path, os.O_RDWR)", True),
        ("save(model, path)", False),
        ("image.save(path)", True),
        ("cv2.imwrite(path, image)", True),
        ("shutil.copyfile(a, b)", True),
        ("json.dump(content, file)", True),
        ("json.dumps(content)", False),
    ],
)
def test_writers_are_recognized(code, refused):
    assert writes(ast.parse(code).body[0].value) is refused
