#include "engine/filler.hpp"
#include "engine/layer.hpp"

namespace p3d {

// DummyData: tops made by fillers, one per top or one for all (none: zeros), of
// the shapes that dummy_data_param states, one per top or one for all. A
// constant filler fills its top once, so that what a person writes to it stays;
// others fill theirs at every forward.
template <typename Dtype>
class DummyDataLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {0, 0, 1, -1, false}; }
  bool Source() const override { return true; }

  void LayerSetUp(const Blobs&, const Blobs& top) override {
    const Fields& param = this->Param("dummy_data_param");
    const size_t fillers = param.Subs("data_filler").size();
    Check(fillers <= 1 || fillers == top.size(), "dummy_data_param gives ",
          fillers, " fillers for ", top.size(),
          " tops; give one per top, one for all or none");
    for (size_t i = 0; i < top.size(); ++i) {
      top[i]->Reshape(ShapeOf(i, top.size()));
      FillTop(i, top[i]);
    }
  }

  void Reshape(const Blobs&, const Blobs&) override {}

  void Forward(const Blobs&, const Blobs& top) override {
    for (size_t i = 0; i < top.size(); ++i) {
      const Fields* filler = FillerOf(i);
      if (filler && filler->Str("type") != "constant") FillTop(i, top[i]);
    }
  }

 private:
  Shape ShapeOf(size_t i, size_t tops) const {
    const Fields& param = this->Param("dummy_data_param");
    const std::vector<Fields>& shapes = param.Subs("shape");
    if (shapes.empty()) return LegacyShapeOf(i, tops);
    Check(param.Ints("num").empty(),
          "dummy_data_param gives both shape and num; keep shape");
    CheckCount("shape", shapes.size(), tops);
    return shapes[shapes.size() == 1 ? 0 : i].Ints("dim");
  }

  Shape LegacyShapeOf(size_t i, size_t tops) const {
    Shape shape;
    for (const char* name : {"num", "channels", "height", "width"}) {
      const std::vector<int64_t> sizes =
          this->Param("dummy_data_param").Ints(name);
      CheckCount(name, sizes.size(), tops);
      shape.push_back(sizes[sizes.size() == 1 ? 0 : i]);
    }
    return shape;
  }

  static void CheckCount(const char* name, size_t found, size_t tops) {
    Check(found == 1 || found == tops, "dummy_data_param gives ", found, " ",
          name, " for ", tops, " tops; give one per top or one for all");
  }

  const Fields* FillerOf(size_t i) const {
    const std::vector<Fields>& fillers =
        this->Param("dummy_data_param").Subs("data_filler");
    if (fillers.empty()) return nullptr;
    return &fillers[fillers.size() == 1 ? 0 : i];
  }

  void FillTop(size_t i, Blob<Dtype>* top) const {
    const std::shared_ptr<Blob<Dtype>> borrowed(top, [](Blob<Dtype>*) {});
    const Fields* filler = FillerOf(i);
    if (filler) {
      Fill(*filler, borrowed);
    } else {
      FillConstant(0, borrowed);
    }
  }
};

P3D_REGISTER_LAYER(DummyData, DummyDataLayer);

}  // namespace p3d
