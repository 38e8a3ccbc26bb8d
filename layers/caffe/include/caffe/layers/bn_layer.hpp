#ifndef CAFFE_BN_LAYER_HPP_
#define CAFFE_BN_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "kernels/order.hpp"

namespace caffe {

/**
 * @brief Batch normalisation with a learned scale and shift in one layer, as
 *        the P3D nets use it.
 *
 * For bottom (N, C, ...) of any number of axes, with m = N * (all axes behind
 * C), per channel c:
 *
 *   top = slope (bottom - mean) / sqrt(variance + eps) + bias
 *
 * Blobs, all (1, C): 0 slope, 1 bias, 2 running mean, 3 running variance.
 *
 *   TRAIN            mean and variance (biased: 1/m) are the batch's, and
 *                    running = momentum running + (1 - momentum) batch
 *   TEST or frozen   the running ones, which stay as they are
 *
 * Backward, with t = (bottom - mean) / sqrt(variance + eps) as Forward had it:
 *
 *   d slope += sum d top t,  d bias += sum d top
 *   d bottom = slope / sqrt(variance + eps)
 *              (d top - sum d top / m - t sum(d top t) / m)
 *
 * in both phases; only a frozen layer takes the statistics for constants:
 *
 *   d bottom = d top slope / sqrt(variance + eps), no d slope, no d bias.
 *
 * bn_param: slope_filler (1 where there is none), bias_filler (0), momentum
 * (0.9), eps (1e-5), frozen (false), engine (DEFAULT). At the start the running
 * mean is 0 and the running variance 0, or 1 if frozen. Solvers leave blobs 2
 * and 3 alone, and all four of a frozen layer, whatever the lr_mult and
 * decay_mult of the prototxt. May be in place; only then a copy of the bottom
 * is kept for Backward (not if frozen).
 *
 * With engine: CUDNN, on the GPU and in a Caffe that has cuDNN, that takes the
 * batch's statistics and the gradients of a layer that learns: the same
 * formulas, with sums in Dtype; in double here.
 *
 * Blobs, defaults and results are those of the layer published with "Learning
 * Spatio-Temporal Representation with Pseudo-3D Residual Networks" (Qiu, Yao,
 * Mei, ICCV 2017), but for the default slope, which is 0 there. The method is
 * that of Ioffe and Szegedy, arXiv 1502.03167.
 */
template <typename Dtype>
class BNLayer : public Layer<Dtype> {
 public:
  explicit BNLayer(const LayerParameter& param)
      : Layer<Dtype>(param), by_cudnn_(false) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "BN"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }

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
  void CudnnForward(const vector<Blob<Dtype>*>& bottom,
                    const vector<Blob<Dtype>*>& top);
  void CudnnBackward(const vector<Blob<Dtype>*>& top,
                     const vector<Blob<Dtype>*>& bottom);

  /// Whether Forward takes the batch's statistics.
  bool learning() const { return this->phase_ == TRAIN && !frozen_; }

  bool frozen_;
  double momentum_;
  double eps_;
  /// (C) What the last Forward normalised by: the mean and
  /// sqrt(variance + eps); double, so that a large mean loses no digits.
  Blob<double> mean_;
  Blob<double> deviation_;
  /// The bottom before Forward, if it is in place and not frozen.
  Blob<Dtype> bottom_copy_;
  /// Of the current bottom.
  p3d::Geometry geometry_;
  /// Partial sums on the GPU, for the length of a pass.
  Blob<double> scratch_;
  /// Whether cuDNN did the last Forward; (4, C) what it found (see
  /// cudnn_bn.hpp); the diff of the top, if it is in place, for the length of a
  /// pass.
  bool by_cudnn_;
  Blob<Dtype> cudnn_statistics_;
  Blob<Dtype> diff_copy_;

 private:
  void FillBlobs(int channels);
  void FixRates();
};

}  // namespace caffe

#endif  // CAFFE_BN_LAYER_HPP_
