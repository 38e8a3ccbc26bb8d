"""`p3d pack`: results of `p3d extract` in the layouts that other code reads."""

from __future__ import annotations

import argparse

HELP = "results of `p3d extract` as one HDF5 file, C3D's binary files, or a table of classes"
EXAMPLES = """\
examples:
  p3d pack features -o features.h5                          file["video"]["pool5"]
  p3d pack features -o c3d.h5 --dataset c3d_features        file["video"]["c3d_features"]
  p3d pack features -o classes.csv --top 5                  video, rank, class, score
  p3d pack features -o classes.json                         {"results": {video: [...]}}
  p3d pack features -o c3d/ --as c3d                        c3d/<video>/<first frame>.pool5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results", nargs="+", metavar="DIR_OR_FILE", help="what `p3d extract` wrote to"
    )
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help=".h5, .csv or .json")
    parser.add_argument(
        "--as",
        dest="layout",
        default="",
        choices=("hdf5", "c3d", "csv", "json"),
        help="the layout (default: told from the suffix)",
    )
    parser.add_argument("--dataset", metavar="NAME", help="what to call the blob in HDF5")
    parser.add_argument("--labels", metavar="FILE", help="class names (default: as extracted)")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="classes per video (5)")


def run(args: argparse.Namespace) -> int:
    from p3d import labels
    from p3d.packing import Options, pack
    from p3d.packing.stored import results

    names = labels.load(args.labels) if args.labels else None
    options = Options(args.layout, args.dataset, names, args.top)
    count = pack(results(args.results), args.out, options)
    print(f"{count} result{'s' * (count != 1)} -> {args.out}")
    return 0
