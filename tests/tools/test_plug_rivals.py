"""tools/plugging/rivals.py: no type is registered twice, whatever a tree has."""

from __future__ import annotations

import pytest
from caffe_trees import FORKS, write_layers, write_tree
from plugging.draft import Draft
from plugging.plug import plug
from plugging.refusal import Refusal
from plugging.transaction import apply
from plugging.tree import Tree, open_tree, registered


@pytest.fixture
def layers(tmp_path):
    return write_layers(tmp_path / "layers")


def plugged(tree, layers, replace=()):
    """The tree after plugging, which must be the same after plugging again."""
    draft = Draft(open_tree(str(tree)))
    plug(draft, list(replace), layers)
    apply(draft.tree, draft.changes())
    again = Draft(open_tree(str(tree)))
    plug(again, [], layers)
    assert sorted(again.changes()) == []
    return draft


def who(tree):
    types = registered(Tree(tree))
    assert all(len(files) == 1 for files in types.values()), types
    return {name: next(iter(files)) for name, files in types.items()}


def test_upstream(tmp_path, layers):
    tree = write_tree(tmp_path / "tree")
    assert plugged(tree, layers).notes == []
    for name in ("bn", "pooling3d", "convolution3d"):
        assert f"src/caffe/layers/{name}_layer.cpp" in who(tree).values()


def test_the_published_layers_give_way(tmp_path, layers):
    tree = write_tree(tmp_path / "tree", "published")
    notes = plugged(tree, layers).notes
    assert sum("gives way" in note for note in notes) == 2
    assert who(tree)["BN"] == "src/caffe/layers/bn_layer.cpp"
    assert who(tree)["Pooling3D"] == "src/caffe/layers/pooling3d_layer.cpp"
    assert not (tree / "src/caffe/video_layers/pooling3d_layer.cpp").exists()
    assert not (tree / "src/caffe/layers/bn_layer.cu").exists()  # ours has none here
    old_header = (tree / "include/caffe/video_layers/bn_layer.hpp").read_text()
    assert '#include "caffe/layers/bn_layer.hpp"' in old_header
    assert "class" not in old_header


@pytest.mark.parametrize(
    ("before", "added", "name"),
    [
        ("STOCHASTIC = 2;", "SUM = 3;", "SUM"),
        ("optional uint32 kernel_l = 10;", "optional bool ceil_mode = 20;", "ceil_mode"),
    ],
)
def test_a_published_layer_that_does_more_by_now(before, added, name, tmp_path, layers):
    """Nets with `pool: SUM` would stop in a tree whose Pooling3D is ours."""
    tree = write_tree(tmp_path / "tree", "published")
    header = tree / "include/caffe/video_layers/pooling3d_layer.hpp"
    header.write_text("class Pooling3DLayer : public Layer {};\n")
    proto = tree / "src/caffe/proto/caffe.proto"
    text = proto.read_text(encoding="latin-1")
    proto.write_text(text.replace(before, f"{before} {added}"), encoding="latin-1")
    match = rf"Pooling3DParameter has {name} besides.*--replace Pooling3D"
    with pytest.raises(Refusal, match=match):
        plug(Draft(open_tree(str(tree))), [], layers)
    plugged(tree, layers, ["Pooling3D"])
    assert who(tree)["Pooling3D"] == "src/caffe/layers/p3d_pooling3d_layer.cpp"
    assert added in proto.read_text(encoding="latin-1")


def test_c3d_keeps_its_convolution(tmp_path, layers):
    tree = write_tree(tmp_path / "tree", "author")
    draft = plugged(tree, layers)
    assert any("Convolution3D stays" in note for note in draft.notes)
    assert who(tree)["Convolution3D"] == "src/caffe/layers/conv3d_layer.cpp"
    assert who(tree)["Pooling3D"] == "src/caffe/layers/pooling3d_layer.cpp"
    source = (tree / "src/caffe/layers/p3d_convolution3d_layer.cpp").read_text()
    assert "INSTANTIATE_CLASS(P3DConvolution3DLayer);" in source
    factory = (tree / "src/caffe/layer_factory.cpp").read_text()
    assert '#include "caffe/layers/p3d_convolution3d_layer.hpp"' in factory


def test_another_bn_is_a_person_s_decision(tmp_path, layers):
    tree = write_tree(tmp_path / "tree", "tsn")
    with pytest.raises(Refusal, match=r"layer_factory\.cpp, line 30, .* `--replace BN`"):
        plug(Draft(open_tree(str(tree))), [], layers)
    theirs = (tree / "src/caffe/layers/bn_layer.cpp").read_bytes()
    draft = plugged(tree, layers, ["BN"])
    assert any("BN is ours now" in note for note in draft.notes)
    assert who(tree)["BN"] == "src/caffe/layers/p3d_bn_layer.cpp"
    assert (tree / "src/caffe/layers/bn_layer.cpp").read_bytes() == theirs


def test_a_class_in_the_file_that_lost_the_type_stays(tmp_path, layers):
    """The file was edited, and is not ours for that."""
    tree = write_tree(tmp_path / "tree")
    theirs = tree / "src/caffe/layers/bn_layer.cpp"
    theirs.write_text("class BNLayer : public Layer {};\nREGISTER_LAYER_CLASS(BN);\n")
    plugged(tree, layers, ["BN"])
    assert who(tree)["BN"] == "src/caffe/layers/p3d_bn_layer.cpp"
    assert "class BNLayer" in theirs.read_text()


def test_replacing_convolution3d(tmp_path, layers):
    tree = write_tree(tmp_path / "tree", "author")
    plugged(tree, layers, ["Convolution3D"])
    assert who(tree)["Convolution3D"] == "src/caffe/layers/p3d_convolution3d_layer.cpp"


def test_an_unregistered_class_only_takes_the_name(tmp_path, layers):
    tree = write_tree(tmp_path / "tree")
    (tree / "include/caffe/common_layers.hpp").write_text("class BNLayer : public Layer {};\n")
    plugged(tree, layers)
    assert who(tree)["BN"] == "src/caffe/layers/p3d_bn_layer.cpp"


def test_a_published_class_among_others(tmp_path, layers):
    tree = write_tree(tmp_path / "tree", "published")
    header = tree / "include/caffe/video_layers/bn_layer.hpp"
    header.rename(tree / "include/caffe/video_layers.hpp")
    with pytest.raises(Refusal, match=r"include/caffe/video_layers\.hpp declares .* Move"):
        plug(Draft(open_tree(str(tree))), [], layers)


@pytest.mark.parametrize("fork", FORKS)
def test_an_older_plug_in_is_brought_up_to_date(fork, tmp_path, layers):
    tree = write_tree(tmp_path / "tree", fork)
    plugged(tree, layers, ["BN"] * (fork == "tsn"))
    (layers / "kernels/conv/igemm.hpp").write_text("// newer\n")
    (layers / "kernels/conv/igemm_avx2.cpp").unlink()
    (layers / "caffe/proto/p3d.proto").write_text(
        (layers / "caffe/proto/p3d.proto")
        .read_text()
        .replace("bool frozen = 5", "bool newer = 8;\n  optional bool frozen = 5")
    )
    draft = plugged(tree, layers)
    assert (tree / "include/caffe/p3d/igemm.hpp").read_text().endswith("// newer\n")
    assert not (tree / "src/caffe/p3d/igemm_avx2.cpp").exists()
    assert "bool newer = 8;" in (tree / "src/caffe/proto/caffe.proto").read_bytes().decode(
        "latin-1"
    )
    assert len(draft.changes()) == 0  # all of it was written
