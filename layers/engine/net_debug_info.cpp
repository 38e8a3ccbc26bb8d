// What a Net logs of its values where debug_info asks for it, as Caffe does.
#include <cmath>
#include <sstream>

#include "engine/net.hpp"
#include "kernels/error.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

template <typename Body>
double Sum(const Body& body, int64_t count) {
  return SumRanges(count, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) sum += body(i);
    return sum;
  });
}

template <typename Dtype>
double AbsSum(const Dtype* x, int64_t count) {
  return Sum([=](int64_t i) { return std::fabs(x[i]); }, count);
}

template <typename Dtype>
double SquareSum(const Dtype* x, int64_t count) {
  return Sum([=](int64_t i) { return static_cast<double>(x[i]) * x[i]; },
             count);
}

template <typename Dtype>
Dtype MeanMagnitude(const Dtype* x, int64_t count) {
  return static_cast<Dtype>(AbsSum(x, count) / static_cast<double>(count));
}

std::string ParamName(const LayerSpec& spec, size_t index) {
  const bool named =
      index < spec.param.size() && !spec.param[index].name.empty();
  return named ? spec.param[index].name : std::to_string(index);
}

template <typename... Parts>
std::string Line(const Parts&... parts) {
  std::ostringstream out;
  out << "    ";
  detail::Concatenate(&out, parts...);
  return out.str();
}

}  // namespace

template <typename Dtype>
void Net<Dtype>::LogForward(int index) const {
  const Layer<Dtype>& layer = *layers_[index];
  for (int id : top_ids_[index]) {
    const Blob<Dtype>& blob = *blobs_[id];
    debug_log(
        Line("[Forward] Layer ", layer.name(), ", top blob ", blob_names_[id],
             " data: ", MeanMagnitude(blob.data(blob.order()), blob.count())));
  }
  for (size_t i = 0; i < layer.blobs().size(); ++i) {
    const Blob<Dtype>& blob = *layer.blobs()[i];
    debug_log(Line("[Forward] Layer ", layer.name(), ", param blob ",
                   ParamName(layer.spec(), i),
                   " data: ", MeanMagnitude(blob.data(), blob.count())));
  }
}

template <typename Dtype>
void Net<Dtype>::LogBackward(int index) const {
  const Layer<Dtype>& layer = *layers_[index];
  for (size_t i = 0; i < bottoms_[index].size(); ++i) {
    if (!bottom_needs_backward_[index][i]) continue;
    const Blob<Dtype>& blob = *bottoms_[index][i];
    debug_log(Line("[Backward] Layer ", layer.name(), ", bottom blob ",
                   blob_names_[bottom_ids_[index][i]], " diff: ",
                   MeanMagnitude(blob.diff(blob.diff_order()), blob.count())));
  }
  for (size_t i = 0; i < layer.blobs().size(); ++i) {
    if (!layer.learns(i)) continue;
    const Blob<Dtype>& blob = *layer.blobs()[i];
    debug_log(Line("[Backward] Layer ", layer.name(), ", param blob ", i,
                   " diff: ", MeanMagnitude(blob.diff(), blob.count())));
  }
}

template <typename Dtype>
void Net<Dtype>::LogParams() const {
  double data = 0, diff = 0, squared_data = 0, squared_diff = 0;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto& blobs = layers_[i]->blobs();
    for (size_t p = 0; p < blobs.size(); ++p) {
      if (!owns_param(static_cast<int>(i), static_cast<int>(p))) continue;
      const int64_t count = blobs[p]->count();
      data += AbsSum(blobs[p]->data(), count);
      diff += AbsSum(blobs[p]->diff(), count);
      squared_data += SquareSum(blobs[p]->data(), count);
      squared_diff += SquareSum(blobs[p]->diff(), count);
    }
  }
  debug_log(Line("[Backward] All net params (data, diff): L1 norm = (",
                 static_cast<Dtype>(data), ", ", static_cast<Dtype>(diff),
                 "); L2 norm = (", static_cast<Dtype>(std::sqrt(squared_data)),
                 ", ", static_cast<Dtype>(std::sqrt(squared_diff)), ")"));
}

#define P3D_INSTANTIATE(Dtype)                      \
  template void Net<Dtype>::LogForward(int) const;  \
  template void Net<Dtype>::LogBackward(int) const; \
  template void Net<Dtype>::LogParams() const
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
