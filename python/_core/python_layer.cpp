#include <pybind11/stl.h>

#include "_core/bind.hpp"
#include "_core/blob.hpp"
#include "engine/layer.hpp"

namespace py = pybind11;

namespace {

using p3d::Blob;

// A layer whose work is done by an object of a class of the user's, see
// p3d.caffe.Layer. What that object raises passes through unchanged.
class PythonLayer : public p3d::Layer<float> {
 public:
  using Layer::Layer;

  ~PythonLayer() override {
    py::gil_scoped_acquire acquire;
    object_ = py::object();
  }

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    py::gil_scoped_acquire acquire;
    const p3d::Fields& param = Param("python_param");
    object_ =
        py::module_::import("p3d.caffe.python_layer")
            .attr("create")(param.Str("module"), param.Str("layer"),
                            param.Str("param_str"), static_cast<int>(phase()));
    object_.attr("setup")(ToList(bottom), ToList(top));
    for (const py::handle& blob : object_.attr("blobs")) {
      blobs_.push_back(blob.cast<BlobHandle<float>>().blob);
    }
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    py::gil_scoped_acquire acquire;
    object_.attr("reshape")(ToList(bottom), ToList(top));
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    // What the tops were need not be made again, unless the layer is in place.
    for (Blob<float>* blob : top) {
      if (!blob->storage().has_values()) blob->write_data();
    }
    {
      py::gil_scoped_acquire acquire;
      object_.attr("forward")(ToList(bottom), ToList(top));
    }
    for (Blob<float>* blob : top) blob->storage().Touch();
    for (Blob<float>* blob : bottom) blob->storage().Touch();
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    {
      py::gil_scoped_acquire acquire;
      object_.attr("backward")(ToList(top), py::cast(propagate_down),
                               ToList(bottom));
    }
    for (Blob<float>* blob : bottom) blob->diff_storage().Touch();
    for (const auto& blob : blobs_) blob->diff_storage().Touch();
  }

 private:
  static py::list ToList(const Blobs& blobs) {
    py::list list;
    for (Blob<float>* blob : blobs) {
      const std::shared_ptr<Blob<float>> borrowed(blob, [](Blob<float>*) {});
      list.append(BlobHandle<float>{nullptr, borrowed, -1});
    }
    return list;
  }

  py::object object_;
};

}  // namespace

void RegisterPythonLayer() {
  p3d::LayerRegistry<float>::Add("Python", [](const p3d::LayerSpec& spec) {
    return std::unique_ptr<p3d::Layer<float>>(new PythonLayer(spec));
  });
}
