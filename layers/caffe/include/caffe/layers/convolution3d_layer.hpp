#ifndef CAFFE_CONVOLUTION3D_LAYER_HPP_
#define CAFFE_CONVOLUTION3D_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "kernels/conv/conv_planar.hpp"

namespace caffe {

/**
 * @brief Convolves clips: (N, C, L, H, W) -> (N, num_output, L', H', W').
 *
 * Per axis, with kernel k, stride s, pad p and dilation d:
 *
 *   out = floor((in + 2 p - d (k - 1) - 1) / s) + 1
 *   top[n, o, q] = bias[o] + sum weight[o, i, t] bottom[n, i, q s - p + t d]
 *
 * over the input channels i of o's group and the kernel's taps t = (l, h, w).
 *
 * Blobs: 0 weights (num_output, C / group, k_l, k_h, k_w), 1 biases
 * (num_output) unless bias_term is false.
 *
 * Takes convolution_param as ConvolutionLayer does, with the same checks and
 * fillers; only the arithmetic is another: on the CPU no column buffer, all
 * threads, weights and blobs read where they lie; on the GPU cuDNN where it can
 * do the shape. Results are upstream's to rounding and do not depend on the
 * number of threads. Several bottoms of one shape may share the weights.
 *
 * Serves every Convolution with three spatial axes, see CreateConvolution.
 */
template <typename Dtype>
class Convolution3DLayer : public ConvolutionLayer<Dtype> {
 public:
  explicit Convolution3DLayer(const LayerParameter& param)
      : ConvolutionLayer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  /// What the prototxt says: Convolution, or Convolution3D.
  virtual inline const char* type() const {
    return this->layer_param_.type().empty()
               ? "Convolution3D"
               : this->layer_param_.type().c_str();
  }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

 private:
  /// The convolution of one bottom of the current shape.
  p3d::ConvShape Shape() const;

  shared_ptr<p3d::PlanarConv<Dtype> > conv_;
  vector<int> conv_bottom_;  // the shape that conv_ was made for
};

/**
 * @brief What the layer factory makes of `type: "Convolution"`.
 *
 * With three spatial axes Convolution3DLayer, whatever `engine` says; else,
 * with `force_nd_im2col: true` and with a field that upstream's
 * convolution_param does not have, as the fused ReLU of Intel's Caffe, what
 * `upstream` makes of it, which is the factory's own creator. Where
 * convolution_param does not tell the number of axes (one kernel_size for all),
 * the bottom will: see ConvolutionByAxesLayer.
 */
template <typename Dtype>
shared_ptr<Layer<Dtype> > CreateConvolution(
    const LayerParameter& param,
    shared_ptr<Layer<Dtype> > (*upstream)(const LayerParameter&));

}  // namespace caffe

#endif  // CAFFE_CONVOLUTION3D_LAYER_HPP_
