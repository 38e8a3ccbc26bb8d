"""How much was done in how long, and what took the time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Summary:
    """Counts of a run, and the seconds of each stage; stages that overlap count where they wait."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    clips: int = 0
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    decoding: float = 0.0  # seconds that decoders worked, beside the rest

    def start(self) -> None:
        self._start = time.perf_counter()

    def end(self, stages: dict[str, float], decoding: float) -> None:
        self.seconds = time.perf_counter() - self._start
        self.stages, self.decoding = stages, decoding

    def text(self, out: str) -> str:
        """One line for people."""
        seconds = max(self.seconds, 1e-9)
        line = (
            f"{self.done} video{'s' * (self.done != 1)}, {self.clips} clip{'s' * (self.clips != 1)}"
            f" in {self.seconds:.1f} s"
            f" ({self.clips / seconds:.1f} clips/s, {self.done / seconds:.2f} videos/s"
        )
        if self.clips and self.stages:
            shares = (f"{name} {100 * s / seconds:.0f} %" for name, s in self.stages.items())
            line += f"; {', '.join(shares)}; decoders {100 * self.decoding / seconds:.0f} % beside"
        line += f") -> {out}"
        line += f"; {self.skipped} complete before" * bool(self.skipped)
        return line + f"; {self.failed} failed" * bool(self.failed)

    def numbers(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "done": self.done,
            "skipped": self.skipped,
            "failed": self.failed,
            "clips": self.clips,
            "seconds": round(self.seconds, 3),
            "stages": {name: round(s, 3) for name, s in self.stages.items()},
            "decoding": round(self.decoding, 3),
        }
