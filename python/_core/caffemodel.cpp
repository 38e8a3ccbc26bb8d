#include "engine/caffemodel.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>

#include "_core/bind.hpp"

namespace py = pybind11;

namespace {

using Floats = py::array_t<float, py::array::c_style>;

// Names come from a file and may be no UTF-8 at all.
py::str Text(const std::string& bytes) {
  return py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(
      bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace"));
}

std::unique_ptr<p3d::CaffemodelReader> Open(const py::object& path) {
  const std::string name =
      py::bytes(py::module_::import("os").attr("fsencode")(path));
  py::gil_scoped_release release;
  return std::unique_ptr<p3d::CaffemodelReader>(
      new p3d::CaffemodelReader(name));
}

py::list Layers(const p3d::CaffemodelReader& reader) {
  py::list layers;
  for (const p3d::WeightLayer& layer : reader.layers()) {
    py::list shapes;
    for (const p3d::WeightBlob& blob : layer.blobs)
      shapes.append(py::tuple(py::cast(blob.shape)));
    layers.append(py::make_tuple(Text(layer.name), Text(layer.type), shapes));
  }
  return layers;
}

void ReadInto(const p3d::CaffemodelReader& reader, size_t layer, size_t blob,
              Floats array) {
  reader.CheckBlob(layer, blob);
  const int64_t count = reader.layers()[layer].blobs[blob].count;
  if (array.size() != count)
    throw py::value_error("the array holds " + std::to_string(array.size()) +
                          " numbers, the blob " + std::to_string(count));
  float* out = array.mutable_data();
  py::gil_scoped_release release;
  reader.Read(layer, blob, out);
}

Floats Read(const p3d::CaffemodelReader& reader, size_t layer, size_t blob) {
  // Before the array: a shape that the file does not fill asks for any size.
  reader.CheckBlob(layer, blob);
  Floats array(reader.layers()[layer].blobs[blob].shape);
  ReadInto(reader, layer, blob, array);
  return array;
}

}  // namespace

void BindCaffemodel(py::module_& m) {
  py::class_<p3d::CaffemodelReader>(
      m, "CaffemodelReader",
      "The weights of a .caffemodel of any generation, read without a schema.\n"
      "RuntimeError says what is wrong with a file and what to do.")
      .def(py::init(&Open), py::arg("path"))
      .def_property_readonly(
          "name", [](const p3d::CaffemodelReader& r) { return Text(r.name()); },
          "Name of the net.")
      .def_property_readonly(
          "layers", &Layers,
          "[(name, type, [shape of each blob])] in the order of the file.")
      .def(
          "is_legacy",
          [](const p3d::CaffemodelReader& r, size_t layer, size_t blob) {
            return r.layers().at(layer).blobs.at(blob).legacy;
          },
          py::arg("layer"), py::arg("blob"),
          "Whether the blob's shape is stored as num, channels, height, width, "
          "where missing leading axes are 1.")
      .def("check", &p3d::CaffemodelReader::CheckBlob, py::arg("layer"),
           py::arg("blob"),
           "Raises RuntimeError unless the blob holds the numbers that its "
           "shape asks for.")
      .def("read", &Read, py::arg("layer"), py::arg("blob"),
           "The blob as a new float32 array.")
      .def("read_into", &ReadInto, py::arg("layer"), py::arg("blob"),
           py::arg("array").noconvert(),
           "Reads the blob into a C-contiguous float32 array of as many "
           "numbers.");
}
