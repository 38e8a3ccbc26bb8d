"""Boost, but for Boost.Python, which is in python.py."""

from __future__ import annotations

from .edit import Edit

# By version, for a link test would need the folders of libraries that come later.
_SYSTEM = r"""# Boost.System is headers alone since Boost 1.69, and has no library since 1.89.
BOOST_SYSTEM := $(shell $(CXX) $(INCLUDE_DIRS:%=-I%) -x c++ -E -dM \
		-include boost/version.hpp /dev/null 2>/dev/null | awk '/define BOOST_VERSION / \
		&& $$3 >= 106900 { found = 1 } END { if (!found) print "boost_system" }')
"""
_LIBRARIES = "LIBRARIES += glog gflags protobuf boost_system boost_filesystem m\n"
_LIBRARIES_NOW = _LIBRARIES.replace("boost_system", "$(BOOST_SYSTEM)")


def _components(text: str) -> str:
    return text.replace(
        "REQUIRED COMPONENTS system thread filesystem)",
        "REQUIRED COMPONENTS thread filesystem OPTIONAL_COMPONENTS system)",
    )


def _makefile(text: str) -> str:
    return text.replace(_LIBRARIES, _SYSTEM + _LIBRARIES_NOW)


EDITS = [
    Edit(
        id="boost-system",
        needed_by="Boost >= 1.89; works with >= 1.54",
        reason="Boost.System, headers alone since 1.69, lost the empty library that was left",
        tested="built with CMake and Boost 1.83 and 1.92, the Makefile with their versions alone",
        changes={"cmake/Dependencies.cmake": _components, "Makefile": _makefile},
    ),
]
