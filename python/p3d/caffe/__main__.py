"""``python -m p3d.caffe script.py ...`` runs a pycaffe script on the embedded engine, or with
P3D_BACKEND=upstream on a real Caffe."""

from __future__ import annotations

import os
import runpy
import sys

from p3d.caffe import backend
from p3d.caffe.install import install


def main() -> None:
    """Run the script that the command line names, with the rest as its arguments."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: python -m p3d.caffe SCRIPT [ARGUMENT ...]\n\n" + (__doc__ or ""))
        raise SystemExit(0 if len(sys.argv) > 1 else 2)
    script = sys.argv[1]
    if not os.path.isfile(script):
        raise SystemExit(f"python -m p3d.caffe: there is no script {script}")
    install()
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    if backend.current() == "embedded":
        sys.path.insert(1, os.path.join(os.path.dirname(__file__), "for_children"))
    runpy.run_path(script, run_name="__main__")


main()
