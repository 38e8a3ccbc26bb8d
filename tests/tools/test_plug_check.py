"""tools/plugging/toolchain.py: what would fail, and the cure, on machines that are made up."""

from __future__ import annotations

import sys

import plug_into_caffe
import pytest
from caffe_trees import write_tree
from plugging import probe, toolchain
from plugging.probe import macros, version

#: Lines that the repairs look for, as a tree of 2020 has them.
OLD = {
    "src/caffe/layers/window_data_layer.cpp": "CV_LOAD_IMAGE_COLOR\n",
    "src/caffe/common.cpp": "void Caffe::DeviceQuery() {\n  cudaDeviceProp prop;\n"
    '  "" << prop.clockRate;\n',
    "cmake/Cuda.cmake": "# setting nvcc arch flags\n",
    "include/caffe/util/cudnn.hpp": "namespace caffe {\n\nnamespace cudnn {\n"
    "  CUDNN_CHECK(cudnnSetConvolution2dDescriptor(*conv, CUDNN_CROSS_CORRELATION));\n",
    "cmake/Dependencies.cmake": "REQUIRED COMPONENTS system thread filesystem)\n"
    "    # Find the matching boost python implementation\n"
    "    if(NOT Boost_PYTHON_FOUND)\n"
    "      find_package(Boost 1.46 COMPONENTS python)\n    endif()\n",
    "python/caffe/io.py": "as_grey=True\n",
    "python/caffe/_caffe.cpp": "BOOST_PYTHON_MODULE(_caffe) {\n  BP_REGISTER(Timer);\n\n"
    "  import_array1();\n}\n",
}


class Machine:
    """Answers the questions of plugging.probe: Debian 12, with everything."""

    def __init__(self):
        self.headers = {
            "google/protobuf/stubs/common.h": {"GOOGLE_PROTOBUF_VERSION": "3021012"},
            "boost/version.hpp": {"BOOST_LIB_VERSION": "1_74"},
            "opencv2/core/version.hpp": {"CV_VERSION_MAJOR": "4", "CV_VERSION_MINOR": "6"},
            "cudnn_version.h": {"CUDNN_MAJOR": "9", "CUDNN_MINOR": "1"},
        }
        for name in ("glog/logging.h", "gflags/gflags.h", "hdf5.h", "leveldb/db.h", "lmdb.h"):
            self.headers[name] = {}
        for name in ("cublas_v2.h", "curand.h"):
            self.headers[name] = {}
        self.libraries = {f"boost_{name}" for name in ("system", "thread", "filesystem")}
        self.libraries |= {"openblas", "boost_python{}{}".format(*sys.version_info)}
        self.programs = {
            "c++": "g++ (Debian 12.2.0-14) 12.2.0\nCopyright",
            "cmake": "cmake version 3.25.1\n",
            "protoc": "libprotoc 3.21.12\n",
            "nvcc": "Cuda compilation tools, release 13.0, V13.0.88\n",
        }
        self.modules = {"numpy": "2.3", "google.protobuf": "4.21", "six": "1", "skimage": "0.2"}

    def macros(self, header, *names):
        known = self.headers.get(header)
        return known if known is None else [known[name] for name in names]

    def output(self, program, *args):
        return self.programs.get(program.rsplit("/", 1)[-1], "")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    machine = Machine()
    (tmp_path / "python").mkdir()
    (tmp_path / "python/Python.h").write_text("")
    monkeypatch.setattr(toolchain, "macros", machine.macros)
    monkeypatch.setattr(toolchain, "output", machine.output)
    monkeypatch.setattr(toolchain, "compiler", lambda: "c++")
    monkeypatch.setattr(toolchain, "has_header", lambda name: name in machine.headers)
    monkeypatch.setattr(toolchain, "has_library", lambda name: name in machine.libraries)
    monkeypatch.setattr(toolchain, "module", lambda name: machine.modules.get(name, ""))
    monkeypatch.setattr(
        toolchain.sysconfig, "get_paths", lambda: {"include": str(tmp_path / "python")}
    )
    return machine


@pytest.fixture
def check(tmp_path, capsys):
    tree = write_tree(tmp_path / "tree")
    for name, text in OLD.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)

    def check(modernize="", without=""):
        if modernize:
            skip = ["--skip", without] if without else []
            assert plug_into_caffe.main([str(tree), "--modernize-only", *skip]) == 0
            capsys.readouterr()
        code = plug_into_caffe.main([str(tree), "--check"])
        out = capsys.readouterr().out
        faults = [line.split("  ")[0] for line in out.splitlines() if line.endswith("FAILS")]
        assert code == bool(faults)
        assert out.count("->") == len(faults)
        return faults, out

    return check


def test_an_old_tree_on_a_new_machine(machine, check):
    faults, out = check()
    expected = ["protobuf", "OpenCV", "CUDA", "cuDNN", "Python", "Python modules"]
    assert faults == expected
    assert out.count("--modernize") == len(expected)
    assert "BLAS := open" in out


def test_modernizing_cures_it(machine, check):
    machine.programs["cmake"] = "cmake version 4.0.1"
    assert "CMake" in check()[0]
    assert check("modernize")[0] == []


def test_boost_without_a_library_for_system(machine, check):
    boost("1_92", without="boost_system")(machine)
    faults, out = check()
    assert "Boost" in faults
    assert "--modernize (boost-system)" in out
    assert check("modernize")[0] == []


@pytest.mark.parametrize(("version", "faults"), [("5", []), ("7", ["cuDNN"])])
def test_cudnn_of_before_eight(version, faults, machine, check):
    machine.headers["cudnn.h"] = {"CUDNN_MAJOR": version, "CUDNN_MINOR": "1"}
    del machine.headers["cudnn_version.h"]
    found, out = check("modernize", without="cudnn-data-type")
    assert found == faults
    assert out.count("takes one more value") == len(faults)
    assert check("modernize")[0] == []


@pytest.mark.parametrize(("minor", "faults"), [(13, []), (14, ["Python"])])
def test_pycaffe_on_new_pythons(minor, faults, machine, check, monkeypatch):
    machine.libraries.add(f"boost_python3{minor}")
    monkeypatch.setattr(toolchain.sys, "version_info", (3, minor, 0, "final", 0))
    found, out = check("modernize", without="pycaffe-import-array")
    assert found == faults
    assert out.count("--modernize (pycaffe-import-array)") == len(faults)
    assert check("modernize")[0] == []


def missing(*names):
    def take(machine):
        for name in names:
            for things in (machine.headers, machine.programs, machine.modules):
                things.pop(name, None)
            machine.libraries.discard(name)

    return take


def replaced(kind, **values):
    return lambda machine: getattr(machine, kind).update(values)


def protobuf(number, protoc):
    def change(machine):
        machine.headers["google/protobuf/stubs/common.h"] = {"GOOGLE_PROTOBUF_VERSION": number}
        machine.programs["protoc"] = f"libprotoc {protoc}\n"

    return change


def boost(number, without):
    def change(machine):
        machine.headers["boost/version.hpp"] = {"BOOST_LIB_VERSION": number}
        machine.libraries.discard(without)

    return change


@pytest.mark.parametrize(
    ("change", "faults", "says"),
    [
        (missing("c++"), ["C++ compiler"], "apt install g++"),
        (replaced("programs", **{"c++": "g++ (x) 5.4.0\n"}), ["C++ compiler"], "gcc 7 or newer"),
        (missing("protoc"), ["protobuf"], "apt install libprotobuf-dev protobuf-compiler"),
        (protobuf("3021012", "3.20.1"), ["protobuf"], "of different versions"),
        (protobuf("3006001", "3.6.1"), ["Python modules"], "pip install 'protobuf<3.21'"),
        (protobuf("4025003", "25.3"), ["protobuf"], "use protobuf 3.21"),
        (protobuf("3021012", "21.12"), [], "3.21.12, protoc 21.12"),
        (missing("boost/version.hpp"), ["Boost"], "libboost-thread-dev"),
        (boost("1_58", without="boost_system"), ["Boost"], "apt install libboost-system-dev"),
        (boost("1_92", without="boost_thread"), ["Boost"], "apt install libboost-thread-dev"),
        (missing("openblas"), ["BLAS"], "apt install libopenblas-dev"),
        (missing("hdf5.h"), ["HDF5"], "apt install libhdf5-dev"),
        (missing("opencv2/core/version.hpp"), [], "-DUSE_OPENCV=OFF"),
        (missing("lmdb.h"), [], "USE_LMDB := 0"),
        (missing("nvcc"), [], "-DCPU_ONLY=ON"),
        (missing("curand.h"), [], "13.0 without curand.h"),
        (missing("cudnn_version.h"), [], "-DUSE_CUDNN=OFF"),
        (missing("skimage"), ["Python modules"], "pip install scikit-image"),
        (missing("numpy", "six"), ["Python modules"], "pip install numpy six"),
    ],
)
def test_machines_that_lack_something(change, faults, says, machine, check):
    change(machine)
    found, out = check("modernize")
    assert found == faults
    assert says in out


def test_python_without_boost_or_headers(machine, check, tmp_path):
    machine.libraries -= {name for name in machine.libraries if "python" in name}
    assert check("modernize")[0] == ["Python"]
    (tmp_path / "python/Python.h").unlink()
    found, out = check("modernize")
    assert found == ["Python"]
    assert "apt install python3-dev" in out


def test_probing_this_machine(tmp_path, monkeypatch):
    (tmp_path / "include").mkdir()
    (tmp_path / "include/p3d_probe.h").write_text(
        '#define NUMBER 3\n#define TEXT "1_74"\n#define SUM NUMBER + \\\n  4\n'
    )
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert macros("p3d_probe.h", "NUMBER", "TEXT", "SUM") == ["3", "1_74", "3 + 4"]
    assert macros("p3d_no_such_header.h", "NUMBER") is None
    assert probe.has_library("c") or probe.has_library("System")
    assert not probe.has_library("p3d_no_such_library")
    assert probe.module("json") != ""
    assert probe.module("p3d_no_such_module") == ""
    assert probe.output("p3d_no_such_program") == ""
    assert probe.output(sys.executable, "-c", "import sys; print(1); sys.exit(1)") == ""


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("libprotoc 3.21.12", (3, 21, 12)), ("v25", (25,)), ("none", ()), ("", ())],
)
def test_versions(text, numbers):
    assert version(text) == numbers
