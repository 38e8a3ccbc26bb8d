#ifndef P3D_ENGINE_LAYERS_NORMALIZE_HPP_
#define P3D_ENGINE_LAYERS_NORMALIZE_HPP_

#include <vector>

#include "engine/blob.hpp"

namespace p3d {

// Statistics of the channels of a blob, in double.
struct Moments {
  std::vector<double> mean;
  std::vector<double> variance;
};

// Throws Error where there is nothing to take statistics of.
template <typename Dtype>
void CheckBatch(const Blob<Dtype>& blob);

// Of the values in `blob`, over all images and pixels (see ChannelStatistics).
template <typename Dtype>
Moments BatchMoments(const Blob<Dtype>& blob);

// top = slope (bottom - mean) / sqrt(variance + eps) + bias, per channel; a
// null slope or bias stands for 1 or 0. top may be bottom.
template <typename Dtype>
void NormalizeChannels(const Moments& moments, double eps, const Dtype* slope,
                       const Dtype* bias, Blob<Dtype>* bottom,
                       Blob<Dtype>* top);

// Its gradients, from top's diff to bottom's (null: not wanted), `input` being
// what bottom was; see NormalizeBackward for those of slope and bias. The
// moments follow the bottom...
template <typename Dtype>
void NormalizeChannelsBackward(const Moments& moments, double eps,
                               const Dtype* slope, const Blob<Dtype>& input,
                               const Blob<Dtype>& top, Dtype* dslope,
                               Dtype* dbias, Blob<Dtype>* bottom);
// ... or are constants.
template <typename Dtype>
void NormalizeChannelsBackwardFrozen(const Moments& moments, double eps,
                                     const Dtype* slope, const Blob<Dtype>& top,
                                     Blob<Dtype>* bottom);

// The same as one multiplication and one addition, for Layer::Affine.
template <typename Dtype>
void FoldNormalization(const Moments& moments, double eps, const Dtype* slope,
                       const Dtype* bias, Dtype* scale, Dtype* shift);

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_NORMALIZE_HPP_
