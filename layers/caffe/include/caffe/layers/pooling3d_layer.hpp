#ifndef CAFFE_POOLING3D_LAYER_HPP_
#define CAFFE_POOLING3D_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "kernels/pool.hpp"

namespace caffe {

/**
 * @brief Pools clips: (N, C, L, H, W) -> (N, C, L', H', W').
 *
 * Per axis, with kernel k, stride s and pad p:
 *
 *   out = ceil((in + 2 p - k) / s) + 1      (floor with round_mode: FLOOR)
 *
 * and if any of the three pads is not 0, an axis' last window is dropped where
 * it would begin at in + p or later. Window o covers [o s - p, o s - p + k).
 *
 *   MAX         top = the largest value of the window, the first one in the
 *               order l, h, w; -FLT_MAX where the window lies outside. A second
 *               top gets its place (l H + h) W + w as a number, -1 where there
 *               is none.
 *   AVE         top = sum / (size of the window clipped to the padded bottom)
 *   STOCHASTIC  TRAIN: a value drawn with a probability in proportion to it,
 *               by Caffe's random numbers; TEST: sum of squares / sum. For
 *               values >= 0, not padded, no Backward in TEST.
 *
 * Backward gives each value of d top to the place of the maximum or of the
 * drawn value, or shares it out evenly over the window (AVE); what would fall
 * outside the bottom is lost.
 *
 * pooling3d_param: pool (MAX); kernel_size, stride (1) and pad (0) for height
 * and width, or the pairs kernel_h and kernel_w, stride_h and stride_w, pad_h
 * and pad_w; kernel_l, stride_l (1) and pad_l (0) for the length, where
 * kernel_l has no default; or global_pooling, which takes the whole clip.
 * engine is ignored.
 *
 * Results are those of the layer published with "Learning Spatio-Temporal
 * Representation with Pseudo-3D Residual Networks" (Qiu, Yao, Mei, ICCV 2017),
 * where it gives any.
 */
template <typename Dtype>
class Pooling3DLayer : public Layer<Dtype> {
 public:
  explicit Pooling3DLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "Pooling3D"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int MinTopBlobs() const { return 1; }
  virtual inline int MaxTopBlobs() const {
    return this->layer_param_.pooling3d_param().pool() ==
                   Pooling3DParameter_PoolMethod_MAX
               ? 2
               : 1;
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

  /// Ends the program where there is no backward pass.
  void CheckHasBackward() const;

  /// Kernel, stride and pad as given (global pooling: kernels of 0), and with
  /// the sizes of the current bottom and top; axes l, h, w.
  p3d::PoolShape windows_;
  p3d::PoolShape shape_;
  /// Like the top: the place that MAX or STOCHASTIC in TRAIN took, or -1.
  Blob<Dtype> mask_;
};

}  // namespace caffe

#endif  // CAFFE_POOLING3D_LAYER_HPP_
