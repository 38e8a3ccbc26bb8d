"""The option for nets whose prototxt fixes the size of the input."""

from __future__ import annotations

import argparse


def add_relax_reshape(parser: argparse._ActionsContainer) -> None:
    """--relax-reshape; see p3d.caffe.relax."""
    parser.add_argument(
        "--relax-reshape",
        action="store_true",
        help="let a prototxt with a fixed Reshape, such as the released ones, take any crop",
    )
