"""The likeliest classes of every video, averaged over its clips, as .csv or .json.

.csv   video, rank, class, score: a line per class
.json  {"results": {video: [{"label": ..., "score": ...}, ...]}}, as evaluation code of ActivityNet
       and of the 3D-ResNets family reads it
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from p3d import labels
from p3d.atomic import replacing
from p3d.packing.stored import Stored

if TYPE_CHECKING:
    from p3d.packing import Options


def write(results: Iterable[Stored], path: str, options: Options) -> int:
    layout = {"csv": _csv, "json": _json}[options.layout]
    count = 0

    def best() -> Iterator[tuple[str, list[tuple[str, float]]]]:
        nonlocal count
        for result in results:
            count += 1
            noted = result.meta.get("top", [])
            if options.labels is None and len(noted) >= options.top:
                yield result.name, noted[: options.top]
            else:
                yield result.name, labels.best(result.scores(), options.labels, options.top)

    with replacing(path, "w") as file:
        for text in layout(best()):
            file.write(text)
    return count


Best = Iterable[tuple[str, list[tuple[str, float]]]]


def _csv(videos: Best) -> Iterator[str]:
    yield "video,rank,class,score\n"
    for video, classes in videos:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for rank, (name, score) in enumerate(classes, 1):
            writer.writerow([video, rank, name, f"{score:.6f}"])
        yield text.getvalue()


def _json(videos: Best) -> Iterator[str]:
    yield '{"results": {'
    for number, (video, classes) in enumerate(videos):
        rows = [{"label": name, "score": round(score, 6)} for name, score in classes]
        yield f"{',' if number else ''}\n{json.dumps(video)}: {json.dumps(rows)}"
    yield "\n}}\n"
