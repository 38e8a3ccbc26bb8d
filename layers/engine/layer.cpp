#include "engine/layer.hpp"

#include <algorithm>

namespace p3d {
namespace {

void CheckCount(const char* what, size_t found, int least, int most) {
  const int n = static_cast<int>(found);
  if (least == most) {
    Check(n == least, "takes ", least, " ", what, " blob(s), not ", n);
  }
  Check(n >= least, "takes at least ", least, " ", what, " blob(s), not ", n);
  Check(most < 0 || n <= most, "takes at most ", most, " ", what,
        " blob(s), not ", n);
}

template <typename Dtype>
std::map<std::string, typename LayerRegistry<Dtype>::Creator>& Registry() {
  static std::map<std::string, typename LayerRegistry<Dtype>::Creator> map;
  return map;
}

}  // namespace

template <typename Dtype>
void Layer<Dtype>::SetUp(const Blobs& bottom, const Blobs& top) {
  const BlobCounts c = counts();
  CheckCount("bottom", bottom.size(), c.min_bottom, c.max_bottom);
  CheckCount("top", top.size(), c.min_top, c.max_top);
  Check(!c.equal || bottom.size() == top.size(), "takes as many tops (",
        top.size(), ") as bottoms (", bottom.size(), ")");
  LayerSetUp(bottom, top);
  Reshape(bottom, top);
}

template <typename Dtype>
void Layer<Dtype>::LayerSetUp(const Blobs&, const Blobs&) {}

template <typename Dtype>
void Layer<Dtype>::Backward(const Blobs&, const std::vector<bool>&,
                            const Blobs&) {
  Fail("has no gradient");
}

template <typename Dtype>
void Layer<Dtype>::Affine(Dtype*, Dtype*) const {
  Fail("is not affine");
}

template <typename Dtype>
std::vector<float> Layer<Dtype>::Coefficients(int) const {
  Fail("is not a sum");
}

template <typename Dtype>
const Fields& Layer<Dtype>::Param(const std::string& field) const {
  const auto set = spec_.fields.find(field);
  if (set != spec_.fields.end()) return set->second;
  Check(spec_.defaults != nullptr, "no defaults were given for ", field);
  const auto found = spec_.defaults->find(field);
  Check(found != spec_.defaults->end(), "no defaults are known for ", field);
  return found->second;
}

template <typename Dtype>
void Layer<Dtype>::CheckNotInPlace(const Blobs& bottom, const Blobs& top) {
  for (const Blob<Dtype>* blob : top) {
    Check(std::find(bottom.begin(), bottom.end(), blob) == bottom.end(),
          "cannot work in place; give its tops names of their own");
  }
}

template <typename Dtype>
void LayerRegistry<Dtype>::Add(const std::string& type, Creator creator) {
  Registry<Dtype>()[type] = std::move(creator);
}

template <typename Dtype>
std::unique_ptr<Layer<Dtype>> LayerRegistry<Dtype>::Create(
    const LayerSpec& spec) {
  const auto found = Registry<Dtype>().find(spec.type);
  if (found == Registry<Dtype>().end()) Fail("this layer type is unknown");
  return found->second(spec);
}

template <typename Dtype>
std::vector<std::string> LayerRegistry<Dtype>::Types() {
  std::vector<std::string> types;
  for (const auto& entry : Registry<Dtype>()) types.push_back(entry.first);
  return types;
}

template class Layer<float>;
template class Layer<double>;
template class LayerRegistry<float>;
template class LayerRegistry<double>;

}  // namespace p3d
