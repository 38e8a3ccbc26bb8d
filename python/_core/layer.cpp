#include "_core/layer.hpp"

#include <pybind11/stl.h>

#include <string>

#include "_core/bind.hpp"
#include "_core/blob.hpp"

namespace py = pybind11;

namespace {

using p3d::Layer;

template <typename Dtype>
std::vector<BlobHandle<Dtype>> Handles(
    const LayerHandle<Dtype>& handle,
    const std::vector<std::shared_ptr<p3d::Blob<Dtype>>>& blobs) {
  std::vector<BlobHandle<Dtype>> handles;
  for (const auto& blob : blobs) handles.push_back({handle.net, blob, -1});
  return handles;
}

py::object ObjectOf(const Layer<float>& layer) { return PythonObjectOf(layer); }

py::object ObjectOf(const Layer<double>&) { return py::none(); }

// The object of a layer that is written in Python, of which scripts for pycaffe
// use attributes of their own: there layers[i] is that object.
template <typename Dtype>
py::object PersonsObject(const LayerHandle<Dtype>& handle,
                         const std::string& name) {
  const py::object found = ObjectOf(handle.layer());
  if (found.is_none() || name.rfind("__", 0) == 0) {
    throw py::attribute_error("layer '" + handle.layer().name() +
                              "' has no attribute '" + name + "'");
  }
  return found;
}

template <typename Dtype>
void BindLayer(py::module_& m, const std::string& suffix) {
  using Handle = LayerHandle<Dtype>;
  py::class_<Handle>(m, ("Layer" + suffix).c_str(), "One layer of a net.")
      .def("__repr__",
           [](const Handle& h) {
             return "<Layer " + h.layer().name() + ", " + h.layer().type() +
                    ">";
           })
      .def_property_readonly("type",
                             [](const Handle& h) { return h.layer().type(); })
      .def_property_readonly("name",
                             [](const Handle& h) { return h.layer().name(); })
      .def_property_readonly(
          "blobs",
          [](const Handle& h) { return Handles(h, h.layer().blobs()); })
      .def_property_readonly(
          "_carried",
          [](const Handle& h) { return Handles(h, h.layer().Carried()); },
          "What a forward hands to the next one, besides the blobs.")
      .def_property_readonly(
          "kernel", [](const Handle& h) { return h.layer().kernel(); },
          "Name of the kernel that does the work, '' where there is no choice.")
      .def_property_readonly("macs",
                             [](const Handle& h) { return h.layer().macs(); })
      .def_property_readonly(
          "python_object", [](const Handle& h) { return ObjectOf(h.layer()); },
          "The object of a layer that is written in Python, else None.")
      .def("__getattr__",
           [](const Handle& h, const std::string& name) {
             return py::getattr(PersonsObject(h, name), name.c_str());
           })
      .def("__setattr__",
           [](const Handle& h, const std::string& name, py::handle value) {
             py::setattr(PersonsObject(h, name), name.c_str(), value);
           });
}

}  // namespace

void BindLayers(py::module_& m) {
  BindLayer<float>(m, "");
  BindLayer<double>(m, "64");
}
