"""How verbs read their options."""

from __future__ import annotations

import argparse
import difflib
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Its errors are one line, which names the options that misspelt ones may be."""

    def parse_args(self, args: Sequence[str], namespace: Any = None) -> Any:  # type: ignore[override]
        self._words = args
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        line = "; ".join([message, *self._hints()])
        self.exit(2, f"{self.prog}: {line} (see {self.prog} --help)\n")

    def _hints(self) -> Iterator[str]:
        known = self._option_string_actions
        names = {option[2:]: option for option in known if option.startswith("--")}
        for word in itertools.takewhile("--".__ne__, self._words):
            option = word.partition("=")[0]
            if option.startswith("-") and option not in known:
                for close in difflib.get_close_matches(option.lstrip("-"), names, n=1):
                    yield f"did you mean {names[close]} by {option}?"


def two_dashes(parser: argparse.ArgumentParser, arguments: list[str]) -> list[str]:
    """Writes ``-weights W`` and ``-batch_size=4`` as ``--weights W`` and ``--batch-size=4``."""
    known = set(parser._option_string_actions)
    result: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            return result + arguments[position:]
        flag, equals, value = argument.partition("=")
        match = re.fullmatch(r"--?([A-Za-z][\w-]+)", flag)
        long = "--" + match[1].replace("_", "-") if match else ""
        result.append(long + equals + value if flag not in known and long in known else argument)
    return result
