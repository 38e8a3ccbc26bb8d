#include "engine/layers/base_convolution_layer.hpp"

#include <utility>

#include "kernels/affine.hpp"

namespace p3d {

template <typename Dtype>
int64_t BaseConvolutionLayer<Dtype>::macs() const {
  return shape_.macs() * static_cast<int64_t>(this->spec_.bottom.size());
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::LayerSetUp(const Blobs& bottom,
                                             const Blobs& top) {
  this->CheckNotInPlace(bottom, top);
  const Fields& fields = this->Param("convolution_param");
  const Shape& shape = bottom[0]->shape();
  params_ = ReadConvParams(fields, shape, true);
  shape_.channels = shape[params_.channel_axis];
  shape_.num_output = params_.num_output;
  if (transposed()) std::swap(shape_.channels, shape_.num_output);
  shape_.group = params_.group;
  shape_.pad_mode = params_.pad_mode;

  this->blobs_ =
      MakeConvBlobs<Dtype>(fields, params_, shape_.num_output, shape_.channels);
}

template <typename Dtype>
const Dtype* BaseConvolutionLayer<Dtype>::bias_or_null(Side side) const {
  if (this->blobs_.size() < 2) return nullptr;
  return this->blobs_[1]->data(Order::kCaffe, side);
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::CheckSameShapes(const Blobs& bottom) {
  const Shape& in = bottom[0]->shape();
  for (const Blob<Dtype>* other : bottom) {
    Check(other->shape() == in, "all bottoms need the same shape, not ",
          ShapeString(in), " and ", ShapeString(other->shape()));
  }
}

template <typename Dtype>
Geometry BaseConvolutionLayer<Dtype>::InputGeometry(const Shape& bottom) const {
  const Geometry geometry = params_.GeometryOf(bottom);
  const int64_t channels = transposed() ? shape_.num_output : shape_.channels;
  Check(geometry.channels == channels, "the weights are for ", channels,
        " input channels, the bottom has ", geometry.channels);
  return geometry;
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::AddBiasGradient(Storage<Dtype>& dy,
                                                  const Geometry& out) {
  if (this->blobs_.size() < 2 || !this->learns(1)) return;
  const Side side = this->side();
  const Order order = Order::kChannelsLast;
  Dtype* db = this->blobs_[1]->mutable_diff(Order::kCaffe, side);
  WithValues<Dtype>(side, [&](auto kind) {
    using Value = decltype(kind);
    AddScaleShiftGradients<Value, Dtype>(
        side, Broadcast::Channels(out, order), nullptr,
        dy.template data_of<Value>(order, out, side), nullptr, db);
  });
}

template class BaseConvolutionLayer<float>;
template class BaseConvolutionLayer<double>;

}  // namespace p3d
