#include "engine/gpu.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "_core/bind.hpp"
#include "_core/blob.hpp"
#include "engine/gpu_copies.hpp"
#include "engine/plan_graph.hpp"
#include "kernels/error.hpp"

namespace py = pybind11;

namespace {

void SetPrecision(const std::string& name) {
  using p3d::Precision;
  for (Precision kind : {Precision::kFloat32, Precision::kTf32,
                         Precision::kBf16, Precision::kFp16}) {
    if (name == p3d::Name(kind)) return p3d::set_precision(kind);
  }
  p3d::Fail("there is no precision '", name,
            "'; there are float32, tf32, bf16 and fp16");
}

using Handle = BlobHandle<float>;

std::vector<py::ssize_t> ShapeOf(const Handle& handle) {
  const p3d::Shape& shape = handle.blob->shape();
  return {shape.begin(), shape.end()};
}

// A GpuFeed and the blob that it feeds.
struct Feed {
  explicit Feed(const Handle& handle)
      : handle(handle), feed(handle.blob.get()) {}
  Handle handle;
  p3d::GpuFeed feed;
};

struct Fetch {
  p3d::GpuFetch fetch;
  std::vector<py::ssize_t> shape;
};

// The array lives in the feed's memory, which it keeps alive.
py::array NextArray(const py::object& self) {
  const Feed& feed = self.cast<const Feed&>();
  float* data = nullptr;
  {
    py::gil_scoped_release release;
    data = feed.feed.Next();
  }
  return py::array(py::dtype::of<float>(), ShapeOf(feed.handle), data, self);
}

void BindCopies(py::module_& m) {
  py::class_<Feed>(
      m, "GpuFeed",
      "Brings values to a blob on the GPU while its net still runs "
      "on the last ones; for the blob's present shape.")
      .def(py::init([](const Handle& handle) {
             const auto lock = Lock(handle.net.get());
             return handle.net->TellingNeeds(
                 [&] { return std::unique_ptr<Feed>(new Feed(handle)); });
           }),
           py::arg("blob"))
      .def("next", &NextArray,
           "The array to fill before the next send; not to be touched after.")
      .def(
          "send",
          [](Feed& feed) {
            const auto lock = Lock(feed.handle.net.get());
            feed.handle.net->TellingNeeds([&] { feed.feed.Send(); });
          },
          "The blob has the array's values from now on.");
  py::class_<Fetch>(m, "GpuFetch",
                    "Takes a blob's values back from the GPU while its net "
                    "goes on.")
      .def(py::init<>())
      .def(
          "begin",
          [](Fetch& fetch, const Handle& handle) {
            const auto lock = Lock(handle.net.get());
            fetch.shape = ShapeOf(handle);
            fetch.fetch.Begin(*handle.blob);
          },
          py::arg("blob"), "The values that the blob has now.")
      .def(
          "values",
          [](const Fetch& fetch) {
            const float* values = nullptr;
            {
              py::gil_scoped_release release;
              values = fetch.fetch.Values();
            }
            return py::array_t<float>(fetch.shape, values);
          },
          "Waits for them; a copy.");
}

}  // namespace

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
      "Where NVIDIA's libraries may lie, and where choices are kept ('': "
      "nowhere).");
  m.def(
      "conv_libraries", [] { return Gpu().ConvLibraries(); },
      "The versions of cuDNN and cuBLASLt, or why there is none.");
  m.def(
      "conv_choices", [] { return Gpu().ConvChoices(); },
      "Convolutions so far that could be a library's, 'choice<TAB>form' a "
      "line.");
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
  m.def(
      "gpu_bytes_free", [] { return Gpu().DeviceFree(); },
      "Memory that nets may still have there.");
  m.def("gpu_graph_launches", &p3d::PlanGraph::launches,
        "Forwards of nets so far that were one launch on the GPU.");
  m.def(
      "set_gpu_mode",
      [](bool on) { p3d::set_mode(on ? p3d::Side::kGpu : p3d::Side::kHost); },
      py::arg("on"), "Nets run on the GPU in use from now on, or on the host.");
  m.def("finish", &p3d::Finish, py::call_guard<py::gil_scoped_release>(),
        "Waits for the GPU, where nets run on one.");
  m.def(
      "gpu_mode", [] { return p3d::mode() == p3d::Side::kGpu; },
      "Whether nets run on a GPU.");
  m.def("set_precision", &SetPrecision, py::arg("name"),
        "Nets on a GPU take float32, tf32, bf16 or fp16 from now on.");
  m.def(
      "precision", [] { return p3d::Name(p3d::precision()); },
      "What nets on a GPU take.");
  BindCopies(m);
}
