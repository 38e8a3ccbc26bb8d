#ifndef P3D_ENGINE_LAYERS_BASE_CONVOLUTION_LAYER_HPP_
#define P3D_ENGINE_LAYERS_BASE_CONVOLUTION_LAYER_HPP_

#include <vector>

#include "engine/layer.hpp"
#include "engine/layers/conv_params.hpp"
#include "kernels/conv/conv.hpp"

namespace p3d {

// What Convolution and Deconvolution have in common: the same parameters and
// blobs. Weights (num_output, channels / group, kernel...), of a Deconvolution
// (channels, num_output / group, kernel...), and (num_output) biases unless
// bias_term is false. The same weights serve every pair of bottom and top.
template <typename Dtype>
class BaseConvolutionLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {1, -1, 1, -1, true}; }
  bool HasGpu() const override { return params_.spatial_axes <= 3; }
  bool Replayable() const override { return true; }
  int64_t macs() const override;
  void LayerSetUp(const Blobs& bottom, const Blobs& top) override;

  // One bias per output channel, or null.
  const Dtype* bias_or_null(Side side = Side::kHost) const;

 protected:
  // What is made of an input and the gradient of its output: the gradient of
  // the weights, where they learn, and that of the input, where it is wanted.
  struct Gradients {
    Storage<Dtype>& dy;
    Geometry out;
    Storage<Dtype>& x;
    Geometry in;
    Storage<Dtype>* dx;
  };

  // Whether the convolution goes from top to bottom.
  virtual bool transposed() const = 0;
  // Throws Error unless all bottoms have the first one's shape.
  static void CheckSameShapes(const Blobs& bottom);
  // Of a bottom. Throws Error unless it has the channels that the weights are
  // for.
  Geometry InputGeometry(const Shape& bottom) const;
  // Where biases learn.
  void AddBiasGradient(Storage<Dtype>& dy, const Geometry& out);

  ConvParams params_;
  // Of the convolution, the transposed one, too; LayerSetUp leaves num and axes
  // to Reshape.
  ConvShape shape_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_BASE_CONVOLUTION_LAYER_HPP_
