#include "engine/net.hpp"

#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <chrono>

#include "_core/bind.hpp"
#include "engine/caffemodel.hpp"

namespace py = pybind11;

namespace {

using p3d::Blob;
using p3d::Layer;
using p3d::Net;

// The net's lock, taken without holding the interpreter's: a forward in another
// thread may need that for a Python layer.
template <typename Dtype>
std::unique_lock<std::recursive_mutex> Lock(const Net<Dtype>* net) {
  py::gil_scoped_release release;
  return net ? std::unique_lock<std::recursive_mutex>(net->mutex())
             : std::unique_lock<std::recursive_mutex>();
}

// A blob of a net, or one on its own.
template <typename Dtype>
struct BlobHandle {
  std::shared_ptr<Net<Dtype>> net;
  std::shared_ptr<Blob<Dtype>> blob;
  int index = -1;  // in the net; -1 for parameters
};

template <typename Dtype>
struct LayerHandle {
  std::shared_ptr<Net<Dtype>> net;
  int index;

  Layer<Dtype>& layer() const { return *net->layers()[index]; }
};

// A writable array in Caffe's order. The base of the array owns the memory, and
// its being alive is how the engine knows that somebody may write.
template <typename Dtype>
py::array View(const BlobHandle<Dtype>& handle, bool diff) {
  const auto lock = Lock(handle.net.get());
  if (!diff && handle.net && handle.index >= 0) handle.net->Keep(handle.index);
  p3d::Storage<Dtype>& storage =
      diff ? handle.blob->diff_storage() : handle.blob->storage();
  std::shared_ptr<p3d::Buffer> memory;
  {
    py::gil_scoped_release release;
    memory = storage.Lend();
  }
  Dtype* data = static_cast<Dtype*>(memory->data());
  auto* owner = new std::shared_ptr<p3d::Buffer>(std::move(memory));
  py::capsule base(owner, [](void* pointer) {
    delete static_cast<std::shared_ptr<p3d::Buffer>*>(pointer);
  });
  const auto& shape = handle.blob->shape();
  return py::array(py::dtype::of<Dtype>(),
                   std::vector<py::ssize_t>(shape.begin(), shape.end()), data,
                   base);
}

// Caffe's num, channels, height, width: 1 where a blob has fewer axes.
template <typename Dtype>
int64_t LegacyAxis(const BlobHandle<Dtype>& handle, int axis) {
  const p3d::Shape& shape = handle.blob->shape();
  p3d::Check(shape.size() <= 4,
             "num, channels, height and width are for blobs of up to 4 axes; "
             "this one has the shape ",
             p3d::ShapeString(shape), ": use .shape");
  return axis < static_cast<int>(shape.size()) ? shape[axis] : 1;
}

template <typename Dtype>
void ReshapeBlob(const BlobHandle<Dtype>& handle, const py::args& dims) {
  p3d::Shape shape;
  for (const py::handle& dim : dims) shape.push_back(dim.cast<int64_t>());
  const auto lock = Lock(handle.net.get());
  handle.blob->Reshape(shape);
  if (handle.net) handle.net->ForgetPlan();
}

// Straight into the blob's memory: no filler runs and no view comes into being.
template <typename Dtype>
void ReadFrom(const BlobHandle<Dtype>& handle,
              const p3d::CaffemodelReader& reader, size_t layer, size_t blob) {
  reader.CheckBlob(layer, blob);
  const int64_t count = reader.layers()[layer].blobs[blob].count;
  p3d::Check(count == handle.blob->count(), "the file's blob has ", count,
             " values, the net's ", handle.blob->count());
  const auto lock = Lock(handle.net.get());
  py::gil_scoped_release release;
  reader.Read(layer, blob,
              handle.blob->write_data(p3d::Order::kCaffe));
}

template <typename Dtype>
void BindBlob(py::module_& m, const std::string& suffix) {
  using Handle = BlobHandle<Dtype>;
  py::class_<Handle>(m, ("Blob" + suffix).c_str(),
                     "Values and gradients of one shape, in Caffe's order.")
      .def(py::init([](const p3d::Shape& shape) {
             return Handle{nullptr, std::make_shared<Blob<Dtype>>(shape), -1};
           }),
           py::arg("shape"))
      .def_property_readonly("data",
                             [](const Handle& h) { return View(h, false); })
      .def_property_readonly("diff",
                             [](const Handle& h) { return View(h, true); })
      .def_property_readonly("shape",
                             [](const Handle& h) {
                               return py::tuple(py::cast(h.blob->shape()));
                             })
      .def_property_readonly("count",
                             [](const Handle& h) { return h.blob->count(); })
      .def_property_readonly("num",
                             [](const Handle& h) { return LegacyAxis(h, 0); })
      .def_property_readonly("channels",
                             [](const Handle& h) { return LegacyAxis(h, 1); })
      .def_property_readonly("height",
                             [](const Handle& h) { return LegacyAxis(h, 2); })
      .def_property_readonly("width",
                             [](const Handle& h) { return LegacyAxis(h, 3); })
      .def("reshape", &ReshapeBlob<Dtype>, "Changes the shape: reshape(*dims).")
      .def("read_from", &ReadFrom<Dtype>, py::arg("reader"), py::arg("layer"),
           py::arg("blob"), "Takes the values of a blob of a CaffemodelReader.");
}

template <typename Dtype>
std::vector<BlobHandle<Dtype>> LayerBlobs(const LayerHandle<Dtype>& handle) {
  std::vector<BlobHandle<Dtype>> blobs;
  for (const auto& blob : handle.layer().blobs()) {
    blobs.push_back({handle.net, blob, -1});
  }
  return blobs;
}

template <typename Dtype>
void BindLayer(py::module_& m, const std::string& suffix) {
  using Handle = LayerHandle<Dtype>;
  py::class_<Handle>(m, ("Layer" + suffix).c_str(), "One layer of a net.")
      .def_property_readonly("type",
                             [](const Handle& h) { return h.layer().type(); })
      .def_property_readonly("name",
                             [](const Handle& h) { return h.layer().name(); })
      .def_property_readonly("blobs", &LayerBlobs<Dtype>)
      .def_property_readonly(
          "kernel", [](const Handle& h) { return h.layer().kernel(); },
          "Name of the kernel that does the work, '' where there is no choice.")
      .def_property_readonly("macs",
                             [](const Handle& h) { return h.layer().macs(); });
}

// Lets Ctrl-C through, but asks for the interpreter's lock only ten times a
// second: other Python threads may hold it for long.
class Interrupt {
 public:
  void operator()() {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

template <typename Dtype>
py::list Profile(Net<Dtype>& net) {
  std::vector<p3d::StepTime> steps;
  {
    py::gil_scoped_release release;
    steps = net.Profile();
  }
  py::list list;
  for (const p3d::StepTime& step : steps) {
    py::dict row;
    row["layers"] = step.layers;
    row["type"] = step.type;
    row["kernel"] = step.kernel;
    row["macs"] = step.macs;
    row["ms"] = step.milliseconds;
    list.append(row);
  }
  return list;
}

template <typename Dtype>
Dtype Forward(Net<Dtype>& net, int from, int to) {
  py::gil_scoped_release release;
  return net.Forward(from, to, Interrupt());
}

// Hooks run with the interpreter's lock; their exceptions end the forward.
p3d::Net<float>::Hook ToHook(const py::function& function) {
  const auto shared = std::shared_ptr<py::function>(
      new py::function(function), [](py::function* pointer) {
        py::gil_scoped_acquire acquire;
        delete pointer;
      });
  return [shared](int layer) {
    py::gil_scoped_acquire acquire;
    (*shared)(layer);
  };
}

template <typename Dtype>
void BindNetClass(py::module_& m, const std::string& suffix) {
  using N = Net<Dtype>;
  using Pointer = std::shared_ptr<N>;
  py::class_<N, Pointer>(m, ("Net" + suffix).c_str(),
                         "A net made of layer descriptions; p3d.caffe.Net "
                         "makes them from a prototxt.")
      .def(py::init([](const std::string& name, const py::list& layers,
                       const py::dict& defaults, int phase) {
             const auto specs = ToLayerSpecs(layers, defaults);
             return std::make_shared<N>(name, specs,
                                        static_cast<p3d::Phase>(phase));
           }),
           py::arg("name"), py::arg("layers"), py::arg("defaults"),
           py::arg("phase"))
      .def_property_readonly("name", &N::name)
      .def_property_readonly(
          "phase", [](const N& net) { return static_cast<int>(net.phase()); })
      .def_property_readonly("blob_names", &N::blob_names)
      .def_property_readonly("layer_names",
                             [](const N& net) {
                               std::vector<std::string> names;
                               for (const auto& layer : net.layers()) {
                                 names.push_back(layer->name());
                               }
                               return names;
                             })
      .def_property_readonly(
          "blobs",
          [](const Pointer& net) {
            std::vector<BlobHandle<Dtype>> blobs;
            for (size_t i = 0; i < net->blobs().size(); ++i) {
              blobs.push_back({net, net->blobs()[i], static_cast<int>(i)});
            }
            return blobs;
          })
      .def_property_readonly(
          "layers",
          [](const Pointer& net) {
            std::vector<LayerHandle<Dtype>> layers;
            for (size_t i = 0; i < net->layers().size(); ++i) {
              layers.push_back({net, static_cast<int>(i)});
            }
            return layers;
          })
      .def_property_readonly("inputs", &N::inputs)
      .def_property_readonly("outputs", &N::outputs)
      .def_property_readonly("loss_weights", &N::loss_weights)
      .def("bottom_ids", &N::bottom_ids, py::arg("layer"))
      .def("top_ids", &N::top_ids, py::arg("layer"))
      .def("forward", &Forward<Dtype>, py::arg("from_layer"),
           py::arg("to_layer"),
           "Runs these layers, both included; returns the weighted loss.")
      .def("profile", &Profile<Dtype>,
           "One whole forward; a dict per step with its milliseconds.")
      .def("reshape", &N::Reshape, py::call_guard<py::gil_scoped_release>())
      .def("share_with", &N::ShareTrainedLayersWith, py::arg("other"),
           py::call_guard<py::gil_scoped_release>())
      .def("keep", &N::Keep, py::arg("blob"),
           py::call_guard<py::gil_scoped_release>(),
           "This blob keeps its values after every forward from now on.")
      .def("set_planning", &N::set_planning, py::arg("on"))
      .def_property_readonly("planned", &N::planned)
      .def_property_readonly("held_params", &N::held_params)
      .def("before_forward",
           [](N& net, const py::function& hook) {
             net.before_forward.push_back(ToHook(hook));
           })
      .def("after_forward", [](N& net, const py::function& hook) {
        net.after_forward.push_back(ToHook(hook));
      });
}

}  // namespace

void BindNet(py::module_& m) {
  BindBlob<float>(m, "");
  BindLayer<float>(m, "");
  BindNetClass<float>(m, "");
  BindBlob<double>(m, "64");
  BindLayer<double>(m, "64");
  BindNetClass<double>(m, "64");
  m.def("layer_types", &p3d::LayerRegistry<float>::Types,
        "The layer types that nets may name, in alphabetical order.");
}
