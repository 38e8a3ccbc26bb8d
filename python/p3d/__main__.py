"""``python -m p3d`` is the command ``p3d``."""

import sys

from p3d.cli import main

sys.exit(main())
