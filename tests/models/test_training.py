"""The train_val and solver prototxts: the published numbers, and what prototxt/train holds."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from google.protobuf import text_format

from p3d import Error, models
from p3d.caffe.proto import caffe_pb2
from p3d.caffe.prototxt import parse_net

STORED = Path(__file__).parents[2] / "prototxt" / "train"
FRAMES = [104, 117, 123]


def solver_of(name, **options):
    return text_format.Parse(models.solver(name, **options), caffe_pb2.SolverParameter())


@cache
def layers_of(name, **options):
    return list(parse_net(models.train_val(name, **options)).layer)


@pytest.mark.parametrize("name", models.names())
def test_the_files_are_what_the_generator_prints(name):
    for what, text in (("train_val", models.train_val(name)), ("solver", models.solver(name))):
        assert (STORED / name / f"{what}.prototxt").read_text() == text, (
            f"refresh it: p3d models {name} --train prototxt/train/{name}"
        )


def test_there_are_files_for_nothing_else():
    assert {path.name for path in STORED.iterdir()} == set(models.names())


@pytest.mark.parametrize("name", models.names())
def test_between_data_and_loss_it_is_the_deploy_net(name):
    deploy = list(parse_net(models.prototxt(name)).layer)
    training = layers_of(name)
    assert [layer.type for layer in training[:2]] == ["VideoData"] * 2
    assert training[2 : 2 + len(deploy) - 2] == deploy[1:-1]
    tail = {layer.name: layer for layer in training[len(deploy) :]}
    assert list(tail) == ["loss", "accuracy", "accuracy_top5"]
    for layer in tail.values():
        assert list(layer.bottom) == [deploy[-2].name, "label"]
    assert [tail[name].accuracy_param.top_k for name in ("accuracy", "accuracy_top5")] == [1, 5]


@pytest.mark.parametrize("name", models.names())
def test_what_was_published_for_all(name):
    solver = solver_of(name)
    train, test, *layers = layers_of(name)
    clips = train.video_data_param
    assert solver.iter_size * clips.batch_size == 128
    assert solver.base_lr == pytest.approx(0.001)
    assert (solver.lr_policy, solver.gamma) == ("step", pytest.approx(0.1))
    assert (clips.new_length, clips.new_height, clips.new_width) == (16, 182, 242)
    assert (clips.crop_size, clips.mirror, clips.shuffle) == (160, True, True)
    assert list(clips.mean_value) == ([128] if "flow" in name else FRAMES)
    assert clips.use_flow == ("flow" in name)
    assert not test.video_data_param.mirror
    free = [x.name for x in layers if x.HasField("bn_param") and not x.bn_param.frozen]
    assert free == ["bn_conv1"]
    classifier = next(layer for layer in layers if layer.type == "InnerProduct")
    assert [param.lr_mult for param in classifier.param] == [10, 20]
    assert classifier.inner_product_param.num_output == clips.num_classes


@pytest.mark.parametrize(
    ("data", "stepsize", "max_iter", "dropout"),
    [
        ("ucf101", 3000, 7500, 0.9),
        ("ucf101-flow", 3000, 7500, 0.9),
        ("hmdb51", 3000, 7500, 0.9),
        ("hmdb51-flow", 3000, 7500, 0.9),
        ("sports1m", 60000, 150000, 0.1),
        ("sports1m-flow", 60000, 150000, 0.1),
        ("kinetics", 60000, 190000, 0.5),
        ("kinetics-flow", 60000, 190000, 0.7),
    ],
)
@pytest.mark.parametrize("depth", [63, 131, 199])
def test_schedules_and_dropouts(depth, data, stepsize, max_iter, dropout):
    name = f"p3d{depth}-{data}"
    solver = solver_of(name)
    assert (solver.stepsize, solver.max_iter) == (stepsize, max_iter)
    layer = next(layer for layer in layers_of(name) if layer.type == "Dropout")
    assert layer.dropout_param.dropout_ratio == pytest.approx(dropout)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("p3d63-ucf101", {"schedule", "dropout", "frames"}),
        ("p3d199-sports1m", {"schedule", "dropout", "frames"}),
        ("p3d199-kinetics", {"dropout", "frames"}),
        ("p3d199-kinetics-flow", {"dropout"}),
        ("p3d63-ucf101-flow", set()),
        ("p3d63-hmdb51", {"frames"}),
    ],
)
def test_comments_tell_the_published_from_ours(name, published):
    net, solver = models.train_val(name).splitlines(), models.solver(name).splitlines()
    comments = {
        "schedule": solver[[line.startswith("stepsize") for line in solver].index(True) - 1],
        "dropout": next(line for line in net if line.startswith("# classifier")),
        "frames": next(line for line in net if line.startswith("# height 182")),
    }
    assert {what for what, line in comments.items() if line.endswith("published")} == published
    for what in {"schedule", "dropout"} - published:
        assert "ours" in comments[what]
    assert "# ours\nmomentum" in models.solver(name)


@pytest.mark.parametrize(
    ("batch", "tested", "at_once", "batches"),
    [
        (8, 9, 3, 3),
        (16, 33, 11, 3),
        (1, 5, 1, 5),
        (8, 8, 8, 1),
        (8, 5, 5, 1),
        (8, 11, 1, 11),
        (8, 101, 6, 17),
        (8, 103, 8, 13),  # one of them twice: less than a percent
        (8, 107, 6, 18),
        (8, 3783, 8, 473),
        (8, None, 8, 473),
    ],
)
def test_a_test_sees_every_video_once(batch, tested, at_once, batches):
    solver = solver_of("p3d63-ucf101", batch=batch, tested=tested)
    train, test, *_ = layers_of("p3d63-ucf101", batch=batch, tested=tested)
    assert train.video_data_param.batch_size == batch
    assert test.video_data_param.batch_size == at_once
    assert solver.test_iter[0] == batches


@pytest.mark.parametrize(
    ("trained", "updates", "passes"),
    [(1, 200, "25,600"), (256, 200, "100"), (257, 210, "104"), (9537, 7460, "100")],
)
def test_a_list_of_ones_own_is_seen_as_often_as_the_published(trained, updates, passes):
    for name in ("p3d63-ucf101", "p3d199-kinetics-flow", "p3d131-sports1m"):
        text = models.solver(name, trained=trained)
        solver = text_format.Parse(text, caffe_pb2.SolverParameter())
        assert (solver.max_iter, solver.stepsize * 10) == (updates, updates * 4)
        assert solver.max_iter % solver.test_interval == 0, "the last state is tested"
        assert solver.snapshot == solver.test_interval
        videos = "1 video" if trained == 1 else f"{trained:,} videos"
        assert f"# ours: {passes} passes over {videos}\nstepsize" in text


def test_own_data():
    options = {"data": "own/videos/", "batch": 4, "classes": 5, "head": "fc_own", "crop": 112}
    train, test, *layers = layers_of("p3d63-ucf101", **options)
    assert train.video_data_param.source == "own/videos/train.txt"
    assert test.video_data_param.source == "own/videos/test.txt"
    assert test.video_data_param.root_folder == "own/videos/"
    assert (train.video_data_param.new_height, train.video_data_param.new_width) == (128, 170)
    assert layers[-1].name == "accuracy"
    assert train.video_data_param.mirror
    assert not layers_of("p3d63-ucf101", mirror=False)[0].video_data_param.mirror
    solver = solver_of("p3d63-ucf101", folder="own/", batch=4)
    assert solver.iter_size == 32
    assert solver.net == "own/train_val.prototxt"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.solver("p3d63-ucf101", batch=9), "batch is 9: .* 128 clips"),
        (lambda: models.solver("p3d63-ucf101", batch=0), "batch is 0"),
        (lambda: models.solver("p3d63-ucf101", batch=256), "batch is 256"),
        (lambda: models.train_val("p3d63-ucf101", batch=0), "batch is 0"),
        (lambda: models.train_val("p3d63-ucf101", crop=(112, 96)), "112 x 96: .* squares"),
        (lambda: models.train_val("p3d63-ucf101", head="label"), "head is 'label', .*new one"),
        (lambda: models.train_val("p3d63-ucf101", head="accuracy"), "head is 'accuracy'"),
        (lambda: models.prototxt("p3d63-ucf101", head="res3a"), "head is 'res3a'"),
        (lambda: models.prototxt("p3d63-ucf101", head=""), "head is '', which is no name"),
        (lambda: models.train_val("p3d63-ucf10"), "did you mean 'p3d63-ucf101'"),
        (lambda: models.solver("p3d63-ucf10"), "did you mean 'p3d63-ucf101'"),
    ],
)
def test_impossible_training_is_refused(make, message):
    with pytest.raises(Error, match=message):
        make()
