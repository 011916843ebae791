"""Model files of strangers: nothing in them is run, and nothing in them leads compiled code astray."""

import io
import itertools
import json
import os
import pickle
import sys
import zipfile
from functools import partial
from importlib import import_module

import joblib
import numpy as np
import pytest
import skops.io
from click.testing import CliRunner
from joblib import Memory
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import ClassifierChain
from sklearn.neighbors import KernelDensity, KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

import skinseg
from skinseg import cli
from skinseg._foreign import check_arrays, objects_of
from skinseg.exceptions import ModelFileError, SkinsegWarning

X = np.random.default_rng(0).normal(size=(60, 4))
Y = (X[:, 0] + X[:, 2] > 0).astype(int)


class Payload:
    """Opened by pickle, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def mark(tmp_path):
    """A file that is made if the payload is run."""
    return tmp_path / "run"


def forge(path, change=lambda schema: None, members=None):
    """Change the description of the objects in a model file, and its arrays."""
    with zipfile.ZipFile(path) as packed:
        contents = {info.filename: packed.read(info) for info in packed.infolist()}
    schema = json.loads(contents["schema.json"])
    schema = change(schema) or schema
    contents["schema.json"] = json.dumps(schema).encode()
    contents |= members or {}
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in contents.items():
            packed.writestr(name, content)
    return path


def put(node):
    """Make `node` the value of the parameter of a FunctionTransformer."""

    def change(schema):
        schema["content"]["content"]["func"] = node

    return change


IDS = itertools.count(10**6)  # with one for several, nodes would hold themselves


def node(loader, module, name, content=None, **more):
    return {
        "__class__": name,
        "__module__": module,
        "__loader__": loader,
        "content": content,
        "__id__": next(IDS),
        **more,
    }


TEXT = node("JsonNode", "builtins", "str", '"touch /nowhere"', is_json=True)
ARGUMENTS = node("TupleNode", "builtins", "tuple", [TEXT])
EMPTY = node("DictNode", "builtins", "dict", {}, key_types=node("ListNode", "builtins", "list", []))
DANGEROUS = {
    "function": node("FunctionNode", "os", "system", {"function": "system", "module_path": "os"}),
    "builtin": node("TypeNode", "builtins", "exec"),
    "partial": node(
        "PartialNode", "functools", "partial",
        {"func": node("FunctionNode", "os", "system"), "args": ARGUMENTS, "kwds": EMPTY, "namespace": EMPTY},
    ),
    "method": node(
        "MethodNode", "subprocess", "Popen",
        {"func": "__class__", "obj": node("ObjectNode", "subprocess", "Popen", EMPTY)},
    ),
    "operator": node("OperatorFuncNode", "operator", "attrgetter", attrs=ARGUMENTS),
    "operator of another module": node("OperatorFuncNode", "os", "system", attrs=ARGUMENTS),
    "constructor": node("ConstructorFromReduceNode", "os", "system", ARGUMENTS),
    "loss": node("LossNode", "os", "system", EMPTY, __reduce__={"args": ARGUMENTS}),
    "numpy function": node("FunctionNode", "numpy", "fromfile"),
    "random": node(
        "RandomGeneratorNode", "numpy.random", "Generator",
        {
            "bit_generator": node(
                "DictNode", "builtins", "dict", {"bit_generator": node("JsonNode", "builtins", "str", '"seed"')},
                key_types=node("ListNode", "builtins", "list", [node("TypeNode", "builtins", "str")]),
            ),
            "seed_seq": EMPTY,
        },
    ),
    "no such node": node("PickleNode", "builtins", "str"),
    "another protocol": {"__loader__": "ObjectNode"},
    "circle": node("CachedNode", "builtins", "dict"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DANGEROUS)
def test_descriptions_made_by_hand_are_refused(tmp_path, kind, monkeypatch):
    """Where every kind of node of the format could call something."""
    ran = []
    monkeypatch.setattr("os.system", lambda command: ran.append(command))
    monkeypatch.setattr("subprocess.Popen.__init__", lambda self, *args: ran.append(args))
    monkeypatch.setattr("numpy.random.seed", lambda *args: ran.append(args))
    path = forge(skinseg.save(FunctionTransformer(np.exp), tmp_path / "m.skops"), put(DANGEROUS[kind]))
    with pytest.raises(ModelFileError, match=r"m\.skops") as refusal:
        skinseg.load(path)
    assert "recursion" not in str(refusal.value)
    assert not ran


@pytest.mark.parametrize("loader", ["ConstructorFromReduceNode", "ListNode", "LossNode", "RandomStateNode"])
def test_functions_that_models_hold_are_not_called(tmp_path, monkeypatch, loader):
    """One that compiled code is below would follow arrays of the file that do not fit each other."""
    ran = []
    monkeypatch.setattr("sklearn.cluster._kmeans._kmeans_single_lloyd", lambda *args: ran.append(args))
    content = [TEXT] if loader == "ListNode" else ARGUMENTS
    called = node(loader, "sklearn.cluster._kmeans", "_kmeans_single_lloyd", content)
    change = put(called | {"__reduce__": {"args": ARGUMENTS}})
    path = forge(skinseg.save(FunctionTransformer(np.exp), tmp_path / "m.skops"), change)
    with pytest.raises(ModelFileError, match=r"_kmeans_single_lloyd is called, which is no class"):
        skinseg.load(path)
    assert not ran


def test_nor_are_those_of_modules_that_nobody_has_imported(tmp_path, monkeypatch):
    module = "sklearn.feature_selection._univariate_selection"
    called = node("ConstructorFromReduceNode", module, "f_classif", ARGUMENTS)
    path = forge(skinseg.save(FunctionTransformer(np.exp), tmp_path / "m.skops"), put(called))
    monkeypatch.setattr(module, import_module(module))  # puts back what importing it again will change
    monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ModelFileError, match=r"f_classif is called, which is no class"):
        skinseg.load(path)


@pytest.mark.parametrize("write", [joblib.dump, lambda item, path: path.write_bytes(pickle.dumps(item))])
@pytest.mark.parametrize("name", ["m.skops", "m.joblib", "m.pkl"])
def test_pickles_are_not_opened_whatever_they_are_called(tmp_path, mark, write, name):
    write(Payload(mark), tmp_path / name)
    with pytest.raises(ModelFileError, match=r"not a model saved by skinseg\.save"):
        skinseg.load(tmp_path / name)
    (tmp_path / "photos").mkdir()
    joblib.dump(np.zeros((8, 8, 3)), tmp_path / "photos" / "a.png")
    for command in (
        ["predict", str(tmp_path / "photos"), "--model", str(tmp_path / name), "--out", str(tmp_path / "p.csv")],
        ["segment", str(tmp_path / "photos"), "--segmenter", str(tmp_path / name), "--out", str(tmp_path / "masks")],
    ):
        result = CliRunner().invoke(cli.main, command)
        assert result.exit_code != 0
        assert "not a model saved by skinseg.save" in result.output
    assert not mark.exists()
    joblib.load(tmp_path / name)  # the payload is one
    assert mark.exists()


def test_pickles_in_arrays_are_not_opened(tmp_path, mark):
    path = skinseg.save(LogisticRegression().fit(X, Y), tmp_path / "m.skops")
    file = io.BytesIO()
    np.save(file, np.array([Payload(mark)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path) as packed:
        arrays = [name for name in packed.namelist() if name.endswith(".npy")]
    with pytest.raises(ModelFileError, match="allow_pickle=False"):
        skinseg.load(forge(path, members=dict.fromkeys(arrays, file.getvalue())))
    assert not mark.exists()


def test_folders_of_caches_are_not_taken_from_a_file(tmp_path, lesions, mark):
    """A cache is a folder of pickles: who names it could have them run in the first prediction."""
    segmenter = skinseg.ThresholdSegmenter(memory=str(tmp_path / "cache"))
    segmenter.fit(lesions.images).predict(lesions.images)
    entries = list((tmp_path / "cache").rglob("output.pkl"))
    assert len(entries) >= len(lesions.images)
    for entry in entries:
        entry.write_bytes(pickle.dumps(Payload(mark)))
    pipe = make_pipeline(segmenter, skinseg.ABCDFeaturizer(), memory=str(tmp_path / "cache"))
    skops.io.dump(pipe, tmp_path / "m.skops")  # not by skinseg.save, which leaves it out
    with pytest.warns(SkinsegWarning, match="gives memory, which .* set to None"):
        loaded = skinseg.load(tmp_path / "m.skops")
    assert (loaded.memory, loaded.steps[0][1].memory) == (None, None)
    expected = make_pipeline(skinseg.ThresholdSegmenter(), skinseg.ABCDFeaturizer()).fit(lesions.images)
    np.testing.assert_array_equal(loaded.transform(lesions.images), expected.transform(lesions.images))
    assert not mark.exists()


def tree(**changed):
    """A tree whose nodes are changed: name of a field to (node, value)."""
    model = DecisionTreeClassifier(random_state=0).fit(X, Y)
    change_nodes(model.tree_, changed)
    return model


def change_nodes(held, changed):
    state = held.__getstate__()
    for name, (index, value) in changed.items():
        state["nodes"][name][index] = value
    held.__setstate__(state)


def forest(**changed):
    model = RandomForestClassifier(3, random_state=0).fit(X, Y)
    change_nodes(model.estimators_[1].tree_, changed)
    return model


def boosted(**changed):
    model = GradientBoostingClassifier(n_estimators=3, random_state=0).fit(X, Y)
    change_nodes(model.estimators_[2, 0].tree_, changed)
    return model


def histogram(**changed):
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features=[0]).fit(np.c_[Y * 3 % 5, X], Y)
    predictor = model._predictors[1][0]
    for name, (index, value) in changed.items():
        predictor.nodes[name][index] = value
    return model


def neighbors(algorithm, array, index, value):
    model = KNeighborsClassifier(3, algorithm=algorithm, leaf_size=5).fit(X, Y)
    np.asarray(model._tree.get_arrays()[array])[index] = value
    return model


def narrow(model, n_features=2):
    model.n_features_in_ = n_features
    return model


def many_results():
    model = boosted()
    model.estimators_ = np.repeat(model.estimators_, 9, axis=1)
    return model


def flat_boxes():
    model = KNeighborsClassifier(3, algorithm="kd_tree").fit(X, Y)
    state = list(model._tree.__getstate__())
    state[3] = np.ascontiguousarray(state[3][:1])
    model._tree.__setstate__(tuple(state))
    return model


def other_categories(known):
    model = histogram()
    model._bin_mapper.is_categorical_ = np.array(known)
    return model


def cut(model, name, part):
    """Keep a part of an array of a fitted model."""
    setattr(model, name, np.ascontiguousarray(getattr(model, name)[part]))
    return model


def machine(**settings):
    return SVC(**settings).fit(X @ X.T if settings else X, np.arange(len(X)) % 3)


HARMFUL = {
    "machine coefficients": lambda: cut(machine(), "_dual_coef_", np.s_[:1]),
    "machine intercept": lambda: cut(machine(), "_intercept_", np.s_[:1]),
    "machine vectors": lambda: cut(machine(), "support_vectors_", np.s_[:, :1]),
    "machine samples": lambda: cut(machine(kernel="precomputed"), "support_", np.s_[:3]),
    "centers": lambda: cut(KMeans(3, n_init=1).fit(X), "cluster_centers_", np.s_[:, :1]),
    "boosting results": many_results,
    "kd boxes": flat_boxes,
    "histogram kinds": lambda: other_categories([0, 0, 0, 0, 0]),
    "histogram few kinds": lambda: other_categories([1]),
    "in a partial function": lambda: FunctionTransformer(partial(np.mean, tree(left_child=(0, 10**9)))),
    "named in a partial function": lambda: FunctionTransformer(partial(np.mean, a=tree(left_child=(0, 10**9)))),
    "child": lambda: tree(left_child=(0, 10**9)),
    "negative child": lambda: tree(right_child=(0, -7)),
    "circle": lambda: tree(left_child=(0, 0)),
    "column": lambda: tree(feature=(0, 10**9)),
    "negative column": lambda: tree(feature=(0, -5)),
    "narrow": lambda: narrow(tree()),
    "forest": lambda: forest(left_child=(0, 10**9)),
    "narrow forest": lambda: narrow(forest()),
    "boosting": lambda: boosted(feature=(0, 10**6)),
    "histogram child": lambda: histogram(left=(0, 10**6)),
    "histogram circle": lambda: histogram(right=(0, 0)),
    "histogram column": lambda: histogram(feature_idx=(0, 10**6)),
    "histogram category": lambda: histogram(is_leaf=(0, 0), is_categorical=(0, 1), bitset_idx=(0, 10**6)),
    "kd order": lambda: neighbors("kd_tree", 1, 0, 10**9),
    "kd start": lambda: neighbors("kd_tree", 2, -1, (-(10**9), 60, 1, 0.0)),
    "kd leaf": lambda: neighbors("kd_tree", 2, -1, (50, 60, 0, 0.0)),
    "ball order": lambda: neighbors("ball_tree", 1, 0, -(10**9)),
    "ball end": lambda: neighbors("ball_tree", 2, 0, (0, 10**9, 0, 0.0)),
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_trees_that_lead_outside_of_memory_are_refused(tmp_path, kind):
    skops.io.dump(make_pipeline(HARMFUL[kind]()), tmp_path / "m.skops")
    with pytest.raises(ModelFileError, match="damaged, or made to do harm"):
        skinseg.load(tmp_path / "m.skops")


def test_a_bagged_tree_is_looked_at(tmp_path):
    model = BaggingClassifier(DecisionTreeClassifier(), 2, random_state=0).fit(X, Y)
    skinseg.load(skinseg.save(model, tmp_path / "m.skops"))
    change_nodes(model.estimators_[1].tree_, {"feature": (0, 99)})
    with pytest.raises(ModelFileError, match="column outside of 4"):
        skinseg.load(skinseg.save(model, tmp_path / "m.skops"))


def test_a_tree_without_an_estimator_is_refused():
    with pytest.raises(ValueError, match="a Tree belongs to no estimator"):
        check_arrays(make_pipeline(FunctionTransformer(kw_args={"a": tree().tree_})))


def test_sound_trees_are_opened(tmp_path):
    for model in (
        tree(), forest(), boosted(), histogram(), KNeighborsClassifier(3, algorithm="kd_tree").fit(X, Y),
        KNeighborsClassifier(3, algorithm="ball_tree").fit(X, Y), DecisionTreeClassifier(max_depth=1).fit(X, Y * 0),
    ):  # fmt: skip
        given = np.c_[Y * 3 % 5, X] if model.n_features_in_ == 5 else X
        loaded = skinseg.load(skinseg.save(model, tmp_path / "m.skops"))
        np.testing.assert_array_equal(loaded.predict(given), model.predict(given))


@pytest.mark.parametrize("given", [X, X @ X.T])
def test_sound_machines_are_opened(tmp_path, given):
    y = np.arange(len(X)) % 3
    models = [SVC(), NuSVC(nu=0.3), SVR(), OneClassSVM()]
    if given.shape == (60, 60):
        models = [model.set_params(kernel="precomputed") for model in models]
    for model in models:
        loaded = skinseg.load(skinseg.save(model.fit(given, y), tmp_path / "m.skops"))
        np.testing.assert_array_equal(loaded.predict(given), model.predict(given))


def test_models_whose_trees_have_other_columns_are_opened(tmp_path):
    chain = ClassifierChain(DecisionTreeClassifier(random_state=0)).fit(X, np.c_[Y, 1 - Y])
    steps = make_pipeline(PolynomialFeatures(), DecisionTreeClassifier(random_state=0))
    for model in (chain, BaggingClassifier(steps, 2, random_state=0).fit(X, Y)):
        loaded = skinseg.load(skinseg.save(model, tmp_path / "m.skops"))
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    density = KernelDensity().fit(X)
    loaded = skinseg.load(skinseg.save(density, tmp_path / "m.skops"))
    np.testing.assert_array_equal(loaded.score_samples(X), density.score_samples(X))


def test_a_cache_in_a_partial_function_is_not_taken(tmp_path):
    segmenter = skinseg.ThresholdSegmenter(memory=str(tmp_path / "cache"))
    skops.io.dump(FunctionTransformer(partial(np.mean, segmenter)), tmp_path / "m.skops")
    with pytest.warns(SkinsegWarning, match="gives memory"):
        loaded = skinseg.load(tmp_path / "m.skops")
    assert loaded.func.args[0].memory is None


def test_all_that_a_model_holds_is_looked_at_once():
    inner = DecisionTreeClassifier()
    held = [inner, (inner, {"a": np.array([inner, 3], dtype=object)}), LogisticRegression]
    model = FunctionTransformer(kw_args={"held": held})
    model.self_ = model
    assert [item for item in objects_of(model) if hasattr(item, "get_params") and not isinstance(item, type)] == [
        model,
        inner,
    ]


def test_a_file_that_says_it_becomes_huge_is_refused_before_it_does(tmp_path):
    path = skinseg.save(LogisticRegression().fit(X, Y), tmp_path / "m.skops")
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")  # its entry in the list of contents: the size unpacked is 24 bytes on
    content[at + 24 : at + 28] = (0xFFFF_FFF0).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"bytes say that they become 4,29"):
        skinseg.load(path)


def test_members_with_names_of_other_folders_are_not_written(tmp_path):
    (tmp_path / "in").mkdir()
    path = skinseg.save(skinseg.ThresholdSegmenter("li"), tmp_path / "in" / "m.skops")
    names = dict.fromkeys(("../evil", "/tmp/evil-of-a-model", "..\\evil"), b"x")
    assert skinseg.load(forge(path, members=names)).method == "li"
    assert sorted(item.name for item in tmp_path.rglob("*")) == ["in", "m.skops"]
    assert not os.path.exists("/tmp/evil-of-a-model")


def test_nested_without_end(tmp_path):
    path = skinseg.save(skinseg.ThresholdSegmenter(), tmp_path / "m.skops")
    part = '{"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": ['
    forge(path, members={"schema.json": (part * 20_000 + "]}" * 20_000).encode()})
    with pytest.raises(ModelFileError, match="recursion"):
        skinseg.load(path)


def test_what_is_no_estimator(tmp_path):
    skops.io.dump({"a": [1, 2]}, tmp_path / "m.skops")
    with pytest.raises(ModelFileError, match="it holds dict, which is no estimator"):
        skinseg.load(tmp_path / "m.skops")


@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_end_in_one_error(tmp_path, lesions):
    """Flipped and cut at random: a model, or the error of model files, and nothing else."""
    pipe = skinseg.make_lesion_pipeline(max_side=48).fit(lesions.images, lesions.target)
    content = skinseg.save(pipe, tmp_path / "m.skops").read_bytes()
    with zipfile.ZipFile(tmp_path / "m.skops") as packed:
        schema = packed.read("schema.json")
    rng = np.random.default_rng(0)
    outcomes = []
    for trial in range(150):
        if trial % 3:  # in the description, which no checksum would let through otherwise
            changed = bytearray(schema)
            for at in rng.integers(len(changed), size=rng.integers(1, 6)):
                changed[at] = rng.integers(32, 127)
            with zipfile.ZipFile(tmp_path / "bad", "w") as packed, zipfile.ZipFile(tmp_path / "m.skops") as whole:
                for name in whole.namelist():
                    packed.writestr(name, bytes(changed) if name == "schema.json" else whole.read(name))
        else:
            changed = bytearray(content[: rng.integers(len(content))] if trial % 2 else content)
            for at in rng.integers(len(changed), size=rng.integers(1, 30)):
                changed[at] ^= 1 << rng.integers(8)
            (tmp_path / "bad").write_bytes(changed)
        try:
            skinseg.load(tmp_path / "bad")
            outcomes.append("opened")
        except ModelFileError as error:
            outcomes.append(str(error))
    refused = [outcome for outcome in outcomes if outcome != "opened"]
    assert len(refused) > 50
    assert all(outcome.startswith(str(tmp_path / "bad")) for outcome in refused)


def test_a_cache_given_as_an_object_is_not_made(tmp_path, mark):
    segmenter = skinseg.ThresholdSegmenter(memory=Memory(tmp_path / "cache", verbose=0))
    skops.io.dump(segmenter, tmp_path / "m.skops")
    with pytest.raises(ModelFileError, match=r"not trusted: .*joblib\.memory\.Memory"):
        skinseg.load(tmp_path / "m.skops")
