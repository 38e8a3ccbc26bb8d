"""What a measurement ran on."""

from __future__ import annotations

import os
import platform
from typing import Any

#: Above this many runnable processes, times of others' work are in ours.
BUSY = 0.5


def describe() -> dict[str, Any]:
    """Processor, cores that this process may use, system, load before we begin."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def line(machine: dict[str, Any]) -> str:
    """The facts as one line."""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}"
    )


def _processor() -> str:
    """The name, with family and model: virtual machines often hide which EPYC or Xeon it is."""
    facts: dict[str, str] = {}
    try:
        with open("/proc/cpuinfo") as file:
            for row in file:
                name, _, value = row.partition(":")
                facts.setdefault(name.strip(), value.strip())
    except OSError:
        pass
    if "model name" not in facts:
        return platform.processor() or platform.machine()
    return f"{facts['model name']} (family {facts.get('cpu family')}, model {facts.get('model')})"
