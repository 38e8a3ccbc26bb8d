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

struct Fetch {
  p3d::GpuFetch fetch;
  std::vector<py::ssize_t> shape;
};

// A GpuFeed or GpuPixelFeed, for blobs of this shape.
template <typename Kind>
struct Feed {
  template <typename... Args>
  explicit Feed(const Handle& handle, const Args&... args)
      : shape(ShapeOf(handle)), feed(args...) {}
  std::vector<py::ssize_t> shape;
  Kind feed;
};
using FloatFeed = Feed<p3d::GpuFeed>;
using PixelFeed = Feed<p3d::GpuPixelFeed>;

// Runs body() with the lock of the blob's net, whose needs an OutOfMemory
// tells; a Python layer's blobs know no net, which tells by itself.
template <typename Body>
auto WithNetOf(const Handle& handle, const Body& body) -> decltype(body()) {
  const auto lock = Lock(handle.net.get());
  return handle.net ? handle.net->TellingNeeds(body) : body();
}

// The arrays live in the feed's memory, which it keeps alive.
py::array NextFloats(const py::object& self) {
  const auto& feed = self.cast<const FloatFeed&>();
  float* data = nullptr;
  {
    py::gil_scoped_release release;
    data = feed.feed.Next();
  }
  return py::array(py::dtype::of<float>(), feed.shape, data, self);
}

py::tuple NextPixels(const py::object& self) {
  const auto& feed = self.cast<const PixelFeed&>();
  p3d::GpuPixelFeed::Batch batch;
  {
    py::gil_scoped_release release;
    batch = feed.feed.Next();
  }
  const p3d::Geometry& g = feed.feed.geometry();
  const std::vector<py::ssize_t> planes = {g.num, g.channels};
  const std::vector<py::ssize_t> means = {g.num, g.channels, feed.feed.means()};
  return py::make_tuple(
      py::array(py::dtype::of<uint8_t>(), feed.shape, batch.pixels, self),
      py::array(py::dtype::of<float>(), means, batch.mean, self),
      py::array(py::dtype::of<float>(), planes, batch.scale, self));
}

template <typename Kind>
void Send(Feed<Kind>& feed, const Handle& handle) {
  WithNetOf(handle, [&] { feed.feed.Send(handle.blob.get()); });
}

constexpr const char* kSend = "The blob has those values from now on.";

void BindFeeds(py::module_& m) {
  py::class_<FloatFeed>(
      m, "GpuFeed",
      "Brings values to blobs of a shape on the GPU while their net still runs "
      "on the last ones.")
      .def(py::init([](const Handle& handle) {
             return WithNetOf(handle, [&] {
               return std::unique_ptr<FloatFeed>(
                   new FloatFeed(handle, handle.blob->count()));
             });
           }),
           py::arg("blob"))
      .def("next", &NextFloats,
           "The array to fill before the next send; not to be touched after.")
      .def("send", &Send<p3d::GpuFeed>, py::arg("blob"), kSend);
  py::class_<PixelFeed>(
      m, "GpuPixelFeed",
      "Brings pixels of 8 bits to blobs of a shape on the GPU, which makes "
      "(pixel - mean) * scale of them: with a mean for each channel, or "
      "`means` of them that are repeated.")
      .def(py::init([](const Handle& handle, int64_t means) {
             return WithNetOf(handle, [&] {
               return std::unique_ptr<PixelFeed>(
                   new PixelFeed(handle, handle.blob->geometry(), means));
             });
           }),
           py::arg("blob"), py::arg("means") = 1)
      .def("next", &NextPixels,
           "The arrays to fill before the next send, not to be touched after: "
           "pixels of the blob's shape, means (n, c, means), scales (n, c).")
      .def("send", &Send<p3d::GpuPixelFeed>, py::arg("blob"), kSend);
}

void BindFetches(py::module_& m) {
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

void BindConvLibraries(py::module_& m) {
  using p3d::Gpu;
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
}

void BindDevices(py::module_& m) {
  using p3d::Gpu;
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
  m.def(
      "gpu_bytes_reserved", [] { return Gpu().DeviceMostReserved(); },
      "The most memory that this process had for nets there at a time.");
}

void BindMode(py::module_& m) {
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
        "Nets take float32, tf32, bf16 or fp16 from now on; those on the "
        "processor the second and the last for the first.");
  m.def(
      "precision", [] { return p3d::Name(p3d::precision()); },
      "What set_precision said last.");
}

}  // namespace

void BindGpu(py::module_& m) {
  m.def("load_gpu", &p3d::LoadGpu, py::arg("path"),
        py::call_guard<py::gil_scoped_release>(),
        "Loads the library with the kernels for GPUs, once.");
  BindConvLibraries(m);
  BindDevices(m);
  BindMode(m);
  BindFeeds(m);
  BindFetches(m);
}
