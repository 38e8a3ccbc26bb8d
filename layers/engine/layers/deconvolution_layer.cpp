#include <algorithm>

#include "engine/layer.hpp"
#include "engine/layers/conv_params.hpp"
#include "kernels/affine.hpp"
#include "kernels/conv/conv_gradients.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/conv/deconv.hpp"
#include "kernels/scratch.hpp"

namespace p3d {

// Deconvolution: the transposed Convolution, with the same parameters. An axis
// of n becomes stride (n - 1) + dilation (kernel - 1) + 1 - padding. Blobs:
// weights (channels, num_output / group, kernel...), and (num_output) biases
// unless bias_term is false.
template <typename Dtype>
class DeconvolutionLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {1, -1, 1, -1, true}; }
  std::string kernel() const override {
    return deconv_ ? deconv_->name() : "deconv_f64_reference";
  }
  int64_t macs() const override {
    return shape_.macs() * static_cast<int64_t>(this->spec_.bottom.size());
  }

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    const Fields& fields = this->Param("convolution_param");
    params_ = ReadConvParams(fields, bottom[0]->shape(), true);
    // As the convolution that is transposed has them.
    shape_.channels = params_.num_output;
    shape_.num_output = bottom[0]->shape()[params_.channel_axis];
    shape_.group = params_.group;
    shape_.pad_mode = params_.pad_mode;

    this->blobs_ = MakeConvBlobs<Dtype>(fields, params_, shape_.num_output,
                                        shape_.channels);
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    const Shape& in = bottom[0]->shape();
    for (const Blob<Dtype>* other : bottom) {
      Check(other->shape() == in, "all bottoms need the same shape, not ",
            ShapeString(in), " and ", ShapeString(other->shape()));
    }
    const Geometry geometry = params_.GeometryOf(in);
    Check(geometry.channels == shape_.num_output, "the weights are for ",
          shape_.num_output, " input channels, the bottom has ",
          geometry.channels);
    if (in != in_) Make(in, geometry);
    in_ = in;
    std::vector<int64_t> sizes;
    for (const ConvAxis& axis : shape_.axes) sizes.push_back(axis.in);
    const Shape out = params_.With(in, shape_.channels, sizes);
    for (Blob<Dtype>* blob : top) blob->Reshape(out);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Geometry in = params_.GeometryOf(bottom[0]->shape());
    const Geometry out = params_.GeometryOf(top[0]->shape());
    for (size_t i = 0; i < bottom.size(); ++i) {
      const Dtype* x = bottom[i]->storage().data(Order::kChannelsLast, in);
      Dtype* y = top[i]->storage().write_data(Order::kChannelsLast, out);
      if (in.num > 0) Run(x, y);
    }
  }

  // What was forward there is the gradient here, and the other way round.
  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    const Order order = Order::kChannelsLast;
    const Geometry in = params_.GeometryOf(bottom[0]->shape());
    const Geometry out = params_.GeometryOf(top[0]->shape());
    if (in.num == 0) return;
    if (!gradients_) gradients_ = ConvGradients<Dtype>::Create(shape_);
    auto& blobs = this->blobs_;
    for (size_t i = 0; i < bottom.size(); ++i) {
      const Dtype* dy = top[i]->diff_storage().data(order, out);
      if (blobs.size() > 1 && this->learns(1)) {
        ScaleShiftGradients<Dtype>(Broadcast::Channels(out, order), nullptr, dy,
                                   nullptr, blobs[1]->mutable_diff());
      }
      if (this->learns(0)) {
        gradients_->Weights(bottom[i]->storage().data(order, in), dy,
                            blobs[0]->mutable_diff());
      }
      if (propagate_down[i]) {
        Convolve(dy, bottom[i]->diff_storage().write_data(order, in));
      }
    }
  }

 private:
  void Make(const Shape& in, const Geometry& geometry) {
    // An empty batch, as Filter makes it, is no reason to complain.
    shape_.num = std::max<int64_t>(1, geometry.num);
    shape_.axes = params_.AxesOf(in);
    for (size_t i = 0; i < shape_.axes.size(); ++i) {
      ConvAxis& axis = shape_.axes[i];
      Check(axis.in >= 1, "cannot enlarge a bottom without values (shape ",
            ShapeString(in), ")");
      axis.in = axis.stride * (axis.in - 1) +
                axis.dilation * (axis.kernel - 1) + 1 - axis.pad_begin -
                axis.pad_end;
      Check(axis.in >= 1, "padding leaves nothing of spatial axis ", i);
    }
    CheckDeconvShape(shape_);
    MakeDeconv();
    gradients_.reset();
    conv_.reset();
  }

  void MakeDeconv();
  void Run(const Dtype* x, Dtype* y);
  // The convolution that is transposed, without bias.
  void Convolve(const Dtype* y, Dtype* x);
  const Dtype* bias_or_null() const {
    return this->blobs_.size() > 1 ? this->blobs_[1]->data() : nullptr;
  }

  ConvParams params_;
  ConvShape shape_;
  Shape in_;
  std::shared_ptr<const Deconv> deconv_;
  // When first used.
  std::unique_ptr<const ConvGradients<Dtype>> gradients_;
  std::unique_ptr<const Conv> conv_;
};

template <>
void DeconvolutionLayer<float>::MakeDeconv() {
  deconv_ = std::make_shared<Deconv>(shape_);
}

template <>
void DeconvolutionLayer<double>::MakeDeconv() {}

template <>
void DeconvolutionLayer<float>::Run(const float* x, float* y) {
  const std::shared_ptr<const Deconv> deconv = deconv_;
  const std::shared_ptr<const float> packed = this->blobs_[0]->storage().Packed(
      deconv->pack_key(), deconv->packed_size(),
      [deconv](const float* from, float* to) { deconv->Pack(from, to); },
      [deconv](const float* from, float* to) { deconv->Unpack(from, to); },
      this->phase() == Phase::kTest);
  const Scratch<float> workspace(deconv->workspace_size());
  deconv->Run(x, packed.get(), bias_or_null(), y, workspace.data());
}

template <>
void DeconvolutionLayer<double>::Run(const double* x, double* y) {
  DeconvReference(shape_, x, this->blobs_[0]->data(), y);
  if (!bias_or_null()) return;
  ScaleShift<double>({shape_.num * shape_.in_pixels(), shape_.channels, 1},
                     nullptr, nullptr, bias_or_null(), y, y);
}

template <>
void DeconvolutionLayer<float>::Convolve(const float* y, float* x) {
  if (!conv_) conv_ = Conv::Create(shape_);
  const Scratch<float> packed(conv_->packed_size());
  conv_->Pack(this->blobs_[0]->data(), packed.data());
  const Scratch<float> workspace(conv_->workspace_size());
  conv_->Run(y, packed.data(), ConvEpilogue(), x, workspace.data());
}

template <>
void DeconvolutionLayer<double>::Convolve(const double* y, double* x) {
  ConvReference(
      shape_, BlobStrides::ChannelsLast(shape_.channels, shape_.in_sizes()), y,
      this->blobs_[0]->data(),
      BlobStrides::ChannelsLast(shape_.num_output, shape_.out_sizes()), x);
}

P3D_REGISTER_LAYER(Deconvolution, DeconvolutionLayer);

}  // namespace p3d
