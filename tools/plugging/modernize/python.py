"""Python, NumPy and Boost.Python."""

from __future__ import annotations

import re

from .edit import Edit

_BOOST_FIND = re.compile(
    r"    # Find the matching boost python implementation\n.*?"
    r"    if\(NOT Boost_PYTHON_FOUND\)\n"
    r"      find_package\(Boost 1\.46 COMPONENTS python\)\n"
    r"    endif\(\)\n",
    re.DOTALL,
)
_BOOST_FOUND = """\
    # Boost.Python is python311 since Boost 1.67, was python-py35 on Debian
    # before, python3 elsewhere.
    string(REGEX MATCH "^3\\\\.[0-9]+" version "${PYTHONLIBS_VERSION_STRING}")
    string(REPLACE "." "" version "${version}")
    foreach(name "python${version}" "python-py${version}" "python3" "python")
      if(NOT Boost_PYTHON_FOUND)
        find_package(Boost 1.46 QUIET COMPONENTS "${name}")
        string(TOUPPER "${name}" found)
        set(Boost_PYTHON_FOUND ${Boost_${found}_FOUND})
      endif()
    endforeach()
"""


def _boost(text: str) -> str:
    return _BOOST_FIND.sub(lambda _: _BOOST_FOUND, text)


def _numpy_first(text: str) -> str:
    return text.replace(
        "PUBLIC ${PYTHON_INCLUDE_DIRS} ${NUMPY_INCLUDE_DIR})",
        "PUBLIC ${NUMPY_INCLUDE_DIR} ${PYTHON_INCLUDE_DIRS})",
    )


def _python3(text: str) -> str:
    return text.replace('set(python_version "2" CACHE', 'set(python_version "3" CACHE')


_CONFIG_2 = re.compile(
    r"PYTHON_INCLUDE := /usr/include/python2\.7 \\\n"
    r"\s+/usr/lib/python2\.7/dist-packages/numpy/core/include\n"
)
_CONFIG_3 = """\
PYTHON ?= python3
PYTHON_INCLUDE := $(shell $(PYTHON) -c "import sysconfig, numpy; \\
	print(sysconfig.get_paths()['include'], numpy.get_include())")
# Boost.Python is boost_python311 for Python 3.11 since Boost 1.67.
PYTHON_LIBRARIES := $(shell $(PYTHON) -c "import sys; \\
	print('boost_python%d%d python%d.%d' % (2 * sys.version_info[:2]))")
"""


def _config(text: str) -> str:
    return _CONFIG_2.sub(lambda _: _CONFIG_3, text)


def _io(text: str) -> str:
    text = re.sub(r"\bas_grey=", "as_gray=", text)
    text = re.sub(
        r"\bnp\.fromstring\((\w+\.data, dtype=[\w.]+)\)", r"np.frombuffer(\1).copy()", text
    )
    return text.replace(".tostring()", ".tobytes()")


def _unittest(text: str) -> str:
    text = text.replace("self.assertEquals(", "self.assertEqual(")
    text = text.replace("self.assertRaisesRegexp(", "self.assertRaisesRegex(")
    return text.replace("self.assertItemsEqual(", "self.assertCountEqual(")


_MODULE = "BOOST_PYTHON_MODULE(_caffe) {\n"
_IMPORT = re.compile(
    r"\n(  // boost python expects a void \(missing\) return value, while import_array\n"
    r"  // returns NULL for python3\. import_array1\(\) forces a void return value\.\n)?"
    r"(  import_array1?\(\);\n)\}\n"
)


def _numpy_at_first(text: str) -> str:
    found = _IMPORT.search(text)
    if found is None or _MODULE not in text:
        return text
    text = text.replace(found[0], "}\n")
    return text.replace(_MODULE, f"{_MODULE}{found[1] or ''}{found[2]}\n")


def _requirements(text: str) -> str:
    text = re.sub(r"(?m)^leveldb>=.*\n|^nose>=.*\n", "", text)
    return re.sub(r"(?m)^(python-dateutil>=[0-9.]+),<2$", r"\1", text)


_TESTS = (
    "test_coord_map.py",
    "test_draw.py",
    "test_io.py",
    "test_layer_type_list.py",
    "test_net.py",
    "test_net_spec.py",
    "test_nccl.py",
    "test_python_layer.py",
    "test_python_layer_with_param_str.py",
    "test_solver.py",
)

EDITS = [
    Edit(
        id="boost-python",
        needed_by="Boost >= 1.67; works with >= 1.46",
        reason="Boost.Python's library is called python311 now, and CMake looks for python-py311",
        tested="built with Boost 1.74, 1.83 and 1.92 and Python 3.11, 3.13 and 3.14",
        changes={"cmake/Dependencies.cmake": _boost},
    ),
    Edit(
        id="numpy-headers",
        needed_by="a virtual environment's NumPy beside Debian's or Ubuntu's",
        reason="their headers of Python bring those of their NumPy; pycaffe built for NumPy 1 does "
        "not run with 2",
        tested="built with Debian's NumPy 1.24, and with 2.4 in a virtual environment beside it",
        changes={"python/CMakeLists.txt": _numpy_first},
    ),
    Edit(
        id="python3-default",
        needed_by="systems without Python 2",
        reason="pycaffe is built for Python 2 unless told otherwise; -Dpython_version=2 and "
        "Makefile.config still choose it",
        tested="built with Python 3.11, CMake and Makefile",
        changes={"CMakeLists.txt": _python3, "Makefile.config.example": _config},
    ),
    Edit(
        id="pycaffe",
        needed_by="scikit-image >= 0.17, NumPy >= 2.3, Python >= 3.12",
        reason="as_grey became as_gray, tostring and fromstring became tobytes and frombuffer, "
        "assertEquals became assertEqual, assertRaisesRegexp became assertRaisesRegex",
        tested="pycaffe's tests with NumPy 1.24 to 2.5, scikit-image 0.26 and Python 3.11 to 3.14",
        changes={
            "python/caffe/io.py": _io,
            **{f"python/caffe/test/{name}": _unittest for name in _TESTS},
        },
    ),
    Edit(
        id="pycaffe-import-array",
        needed_by="Python >= 3.14; works with every one",
        reason="a property asks for the documentation of its function, and so for the type of "
        "NumPy's arrays, when it is made; NumPy was imported after that, and pycaffe crashed",
        tested="pycaffe's tests on Python 3.14 with Boost 1.92",
        changes={"python/caffe/_caffe.cpp": _numpy_at_first},
    ),
    Edit(
        id="pycaffe-requirements",
        needed_by="Python >= 3.10",
        reason="python-dateutil < 2, leveldb and nose no longer install and are not needed",
        tested="by reading",
        changes={"python/requirements.txt": _requirements},
    ),
]
