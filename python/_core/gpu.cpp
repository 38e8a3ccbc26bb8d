#include "engine/gpu.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "_core/bind.hpp"
#include "engine/plan_graph.hpp"

namespace py = pybind11;

void BindGpu(py::module_& m) {
  using p3d::Gpu;
  m.def("load_gpu", &p3d::LoadGpu, py::arg("path"),
        py::call_guard<py::gil_scoped_release>(),
        "Loads the library with the kernels for GPUs, once.");
  m.def(
      "use_conv_libraries",
      [](const std::vector<std::string>& folders, const std::string& cache) {
        Gpu().UseConvLibraries(folders, cache);
      },
      py::arg("folders"), py::arg("cache"),
      "Where cuDNN may lie, and where choices are kept ('': nowhere).");
  m.def(
      "conv_libraries", [] { return Gpu().ConvLibraries(); },
      "The version of cuDNN, or why there is none.");
  m.def(
      "conv_choices", [] { return Gpu().ConvChoices(); },
      "Convolutions so far that could be cuDNN's, 'choice<TAB>form' a line.");
  m.def(
      "gpu_count", [] { return Gpu().DeviceCount(); },
      "How many GPUs there are.");
  m.def(
      "gpu_software", [] { return Gpu().DeviceSoftware(); },
      "What runs on them, in words.");
  m.def(
      "describe_gpu",
      [](int device) {
        const p3d::cuda::DeviceInfo info = Gpu().DescribeDevice(device);
        return py::make_tuple(info.name, info.major, info.minor, info.memory,
                              info.free, info.gflops);
      },
      py::arg("device"),
      "Name, compute capability (major, minor), bytes of memory, bytes free, "
      "float32 GFLOP/s at most.");
  m.def(
      "use_gpu", [](int device) { Gpu().UseDevice(device); }, py::arg("device"),
      py::call_guard<py::gil_scoped_release>(),
      "Whatever runs on a GPU from now on runs on this one.");
  m.def(
      "gpu_bytes_in_use", [] { return Gpu().DeviceBytesInUse(); },
      "Memory that nets hold on the GPU in use.");
  m.def("gpu_graph_launches", &p3d::PlanGraph::launches,
        "Forwards of nets so far that were one launch on the GPU.");
  m.def(
      "set_gpu_mode",
      [](bool on) { p3d::set_mode(on ? p3d::Side::kGpu : p3d::Side::kHost); },
      py::arg("on"), "Nets run on the GPU in use from now on, or on the host.");
  m.def(
      "gpu_mode", [] { return p3d::mode() == p3d::Side::kGpu; },
      "Whether nets run on a GPU.");
}
