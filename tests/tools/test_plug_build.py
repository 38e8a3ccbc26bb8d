"""tools/plugging/build.py: what a tree's build files have to do, and what they cannot."""

from __future__ import annotations

import pytest
from caffe_trees import write_layers, write_tree
from plugging.draft import Draft
from plugging.plug import plug
from plugging.refusal import Refusal
from plugging.tree import open_tree


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "tree")


@pytest.fixture
def plugged(tree, tmp_path):
    layers = write_layers(tmp_path / "layers")

    def plugged():
        draft = Draft(open_tree(str(tree)))
        plug(draft, [], layers)
        return draft

    return plugged


def test_cmake_files_that_would_miss_the_kernels(tree, plugged):
    (tree / "cmake/Targets.cmake").write_text("file(GLOB srcs ${root}/src/caffe/*.cpp)\n")
    with pytest.raises(Refusal, match=r"cmake/Targets\.cmake does not collect"):
        plugged()


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("Makefile", "CXXFLAGS += -std=c++11 -fPIC\n", "CXXFLAGS += -std=c++14 -fPIC\n"),
        ("Makefile.config", "CUSTOM_CXX := g++ -std=gnu++0x\n", "CUSTOM_CXX := g++ -std=gnu++14\n"),
        ("CMakeLists.txt", 'set(F "-Wall -std=c++11")\n', 'set(F "-Wall -std=c++14")\n'),
        ("CMakeLists.txt", "set(CMAKE_CXX_STANDARD 11)\n", "set(CMAKE_CXX_STANDARD 14)\n"),
        ("cmake/Cuda.cmake", "set(N -std=c++11)\n", "set(N -std=c++14)\n"),
    ],
)
def test_the_kernels_are_younger_than_what_trees_ask_for(tree, plugged, name, before, after):
    (tree / name).write_text(before)
    draft = plugged()
    assert draft.text(name) == after
    assert f"C++14 instead of C++11 in {name}: the kernels need it" in draft.notes


def test_younger_standards_stay(tree, plugged):
    text = "CXXFLAGS += -std=c++17 -std=c++14 -std=c++1z\nCC += -std=c11\n"
    (tree / "Makefile").write_text(text)
    draft = plugged()
    assert draft.text("Makefile") == text
    assert not draft.notes


@pytest.mark.parametrize(
    "line", ["#include <hip/hip_runtime.h>\n", "#ifdef USE_GREENTEA\n", "#ifdef USE_OPENCL\n"]
)
def test_gpus_that_are_not_cuda_s_are_told(tree, plugged, line):
    header = tree / "include/caffe/util/device_alternate.hpp"
    header.parent.mkdir()
    header.write_text("#include <cuda_runtime.h>\n")
    assert not plugged().notes
    header.write_text(line)
    (note,) = plugged().notes
    assert "build it with CPU_ONLY" in note


def test_trees_that_bind_their_main_thread_are_told(tree, plugged):
    header = tree / "include/caffe/util/cpu_info.hpp"
    header.parent.mkdir()
    header.write_text("class OpenMpManager {};\n")
    (note,) = plugged().notes
    assert "set OMP_NUM_THREADS" in note
