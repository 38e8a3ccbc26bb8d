"""The arguments of `p3d extract`."""

from __future__ import annotations

import argparse

from p3d.cli._relax_reshape import add_relax_reshape
from p3d.cli._size import size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "videos",
        nargs="*",
        metavar="VIDEO_OR_LIST",
        help="a video; a folder of numbered frames, or of flow_x_* and flow_y_* images; a pattern "
        "like frames/img_%%05d.jpg; HDF5 with a dataset 'video' (flow: 'video_u', 'video_v') of "
        "JPEG bytes; clips as .npy, made ready for the net: (n, c, l, h, w), the mean subtracted; "
        "a folder of such; a quoted glob; a .txt or .csv list, - for one on standard input",
    )
    parser.add_argument("--weights", required=True, metavar="W", help=".caffemodel(.h5)")
    parser.add_argument(
        "--out", default="features", metavar="DIR", help="where to write (default: features)"
    )
    _add_net_arguments(parser.add_argument_group("net"))
    _add_clip_arguments(parser.add_argument_group("clips"))
    _add_output_arguments(parser.add_argument_group("output"))
    _add_run_arguments(parser.add_argument_group("run"))


def _add_net_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--net",
        metavar="NAME|FILE",
        help="a net of `p3d models`, or a prototxt (default: told from the weights)",
    )
    group.add_argument(
        "--blobs", default="pool5", metavar="A,B", help="which blobs to keep (default: pool5)"
    )
    group.add_argument(
        "--batch",
        type=int,
        metavar="N",
        help="clips at once, fewer where a GPU has no room for them (default: 4, on a GPU as many "
        "as it has room for, up to 64)",
    )
    group.add_argument("--threads", type=int, metavar="N", help="of the net (default: all cores)")
    add_relax_reshape(group)


def _add_clip_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--recipe",
        default="author20",
        metavar="NAME",
        help="author20 (default): short edge 162, centre crop 160, 20 clips of 16 frames evenly "
        "over the video; squash: 182x242, the same crop and clips",
    )
    group.add_argument("--stride", type=int, metavar="N", help="a clip every N frames instead")
    group.add_argument(
        "--clips", type=int, metavar="N", help="N clips, from the first to the last possible one"
    )
    group.add_argument(
        "--length",
        type=int,
        metavar="N",
        help="frames of a clip (the net's: 16); over 16 res5 becomes 3-D, with the same weights",
    )
    group.add_argument(
        "--fps", type=float, metavar="F", help="take frames at this rate (default: every frame)"
    )
    group.add_argument(
        "--short",
        choices=("loop", "repeat-last", "error"),
        help="what follows the last frame of a video shorter than a clip (default: the first)",
    )
    group.add_argument("--crop", type=int, metavar="N", help="pixels on a side (the net's: 160)")
    group.add_argument(
        "--crops",
        choices=("centre", "five", "ten", "full"),
        help="five: the corners and the centre; ten: these and their mirror images, an axis of "
        "the array after the clips; full: the whole frame (default: centre)",
    )
    group.add_argument(
        "--size",
        type=size,
        metavar="N|HxW",
        help="short edge, or height x width, before the crop (default: the recipe's)",
    )


def _add_output_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format", choices=("npy", "npz"), help="default: npy for one blob, npz for several"
    )
    group.add_argument(
        "--pool",
        choices=("keep", "avg", "max"),
        default="keep",
        help="one array per video, the mean or the maximum over its clips (default: keep them)",
    )
    group.add_argument("--l2", action="store_true", help="scale every array to length 1")
    group.add_argument("--float16", action="store_true", help="half the bytes")
    group.add_argument("--root", metavar="DIR", help="name outputs after their paths below DIR")
    group.add_argument(
        "--overwrite", action="store_true", help="replace features of other videos in OUT"
    )
    group.add_argument(
        "--labels",
        metavar="FILE",
        help="class names, one per line (default: told from the weights)",
    )
    group.add_argument(
        "--top",
        type=int,
        default=5,
        metavar="K",
        help="with blob prob, print and note the K likeliest classes of each video (5)",
    )


def _add_run_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    group.add_argument(
        "--check-videos", action="store_true", help="only decode, and tell what is damaged"
    )
    group.add_argument(
        "--retry-failed", action="store_true", help="only the videos in OUT/failed.jsonl"
    )
    group.add_argument("--json", action="store_true", help="progress as lines of JSON")
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="only part I of N, for jobs that know nothing of each other",
    )
    group.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="let the workers of a Dask cluster do it: tcp://HOST:8786, or local:N for N processes "
        "here; videos and OUT are on a disk that all see under the same paths",
    )
    group.add_argument(
        "--decoders",
        type=int,
        metavar="N",
        help="processes that decode; 0: this one (default: by the cores)",
    )
    group.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds without a new frame after which a decoder is ended (60)",
    )
