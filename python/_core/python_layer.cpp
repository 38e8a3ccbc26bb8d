#include <pybind11/stl.h>

#include "_core/bind.hpp"
#include "_core/blob.hpp"
#include "engine/layer.hpp"
#include "kernels/cuda/cuda_device.hpp"

namespace py = pybind11;

namespace {

using p3d::Blob;

// What the layer's object raises passes through unchanged, but for p3d.Error:
// like the engine's own errors it then names the layer.
template <typename Body>
void CallObject(LayerCalls* calls, const Body& body) {
  const LayerCalls::Call call(calls);  // which ends without the lock
  py::gil_scoped_acquire acquire;
  try {
    body();
  } catch (const py::error_already_set& error) {
    const py::module_ types = py::module_::import("p3d.error");
    if (!error.matches(types.attr("Error"))) throw;
    // Names of files need not be UTF-8.
    const auto text = py::str(error.value())
                          .attr("encode")("utf-8", "surrogateescape")
                          .cast<std::string>();
    if (error.matches(types.attr("OutOfMemory"))) {
      throw p3d::cuda::OutOfMemory(text);
    }
    if (error.matches(types.attr("NoMemory"))) throw p3d::NoMemory(text);
    p3d::Fail(text);
  }
}

// A layer whose work is done by an object of a Python class, see
// p3d.caffe.Layer: the user's, or one of p3d.caffe.data_layers.
class PythonLayer : public p3d::Layer<float> {
 public:
  using Layer::Layer;

  ~PythonLayer() override {
    py::gil_scoped_acquire acquire;
    object_ = py::object();
  }

  bool Source() const override { return spec_.bottom.empty(); }
  bool Repeatable() const override { return false; }
  // Those of p3d.caffe.data_layers leave other blobs alone.
  bool Foreign() const override { return type() == "Python"; }

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    Call([&] {
      const p3d::Fields& param = Param("python_param");
      object_ = py::module_::import("p3d.caffe.python_layer")
                    .attr("create")(param.Str("module"), param.Str("layer"),
                                    param.Str("param_str"),
                                    static_cast<int>(phase()));
      object_.attr("setup")(ToList(bottom), ToList(top));
      for (const py::handle& blob : object_.attr("blobs")) {
        p3d::Check(py::isinstance<BlobHandle<float>>(blob),
                   "its blobs are made by blobs.add_blob(); one is ",
                   py::str(py::type::handle_of(blob)).cast<std::string>());
        blobs_.push_back(blob.cast<BlobHandle<float>>().blob);
      }
    });
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    Call([&] { object_.attr("reshape")(ToList(bottom), ToList(top)); });
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    // What the tops were need not be made again, unless the layer is in place.
    for (Blob<float>* blob : top) {
      if (!blob->storage().has_values()) blob->write_data();
    }
    Call([&] { object_.attr("forward")(ToList(bottom), ToList(top)); });
    for (Blob<float>* blob : top) blob->storage().Touch();
    for (Blob<float>* blob : bottom) blob->storage().Touch();
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    // What the bottoms' diffs were need not be made again.
    for (Blob<float>* blob : bottom) {
      p3d::Storage<float>& diff = blob->diff_storage();
      if (!diff.has_values()) diff.SetSource(nullptr);
    }
    Call([&] {
      object_.attr("backward")(ToList(top), py::cast(propagate_down),
                               ToList(bottom));
    });
    for (Blob<float>* blob : bottom) blob->diff_storage().Touch();
    for (const auto& blob : blobs_) blob->diff_storage().Touch();
  }

  const py::object& object() const { return object_; }

 private:
  template <typename Body>
  void Call(const Body& body) {
    CallObject(calls_.get(), body);
  }

  py::list ToList(const Blobs& blobs) const {
    py::list list;
    for (Blob<float>* blob : blobs) {
      list.append(
          BlobHandle<float>{nullptr, blob->shared_from_this(), -1, calls_});
    }
    return list;
  }

  const std::shared_ptr<LayerCalls> calls_ = std::make_shared<LayerCalls>();
  py::object object_;
};

}  // namespace

void RegisterPythonLayers() {
  for (const char* type : {"Python", "Data", "HDF5Data", "HDF5Output",
                           "ImageData", "MemoryData", "VideoData"}) {
    p3d::LayerRegistry<float>::Add(type, [](const p3d::LayerSpec& spec) {
      return std::unique_ptr<p3d::Layer<float>>(new PythonLayer(spec));
    });
  }
}

py::object PythonObjectOf(const p3d::Layer<float>& layer) {
  const auto* python = dynamic_cast<const PythonLayer*>(&layer);
  return python ? python->object() : py::none();
}
