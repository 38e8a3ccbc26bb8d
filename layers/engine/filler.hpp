#ifndef P3D_ENGINE_FILLER_HPP_
#define P3D_ENGINE_FILLER_HPP_

#include <memory>

#include "engine/blob.hpp"
#include "engine/fields.hpp"

namespace p3d {

// Gives a blob its first values, by FillerParameter's rules and names:
//
//   constant            value
//   uniform             uniform in [min, max)
//   gaussian            normal with mean and std; sparse >= 0 keeps a value
//                       with probability sparse / shape[0], the rest is 0
//   positive_unitball   uniform in [0, 1), then each row (axis 0) divided by
//                       its sum
//   xavier              uniform in [-s, s), s = sqrt(3 / n)
//   msra                normal with mean 0, std = sqrt(2 / n)
//   bilinear            for weights (a, b, k...) with at least one spatial axis
//                       the product over those axes of 1 - |x / f - c| with
//                       f = ceil(k / 2), c = (k - 1) / (2 f)
//
// n is the fan-in count / shape[0], the fan-out count / shape[1] (count, where
// there is one axis) or their average, as variance_norm says.
//
// Nothing is computed here: the values are made when somebody reads them, from
// a seed that is drawn now. Weights that a file will overwrite cost nothing.
// Throws Error for an unknown type, an impossible range and an empty blob.
template <typename Dtype>
void Fill(const Fields& filler, const std::shared_ptr<Blob<Dtype>>& blob);

// The constant filler without a message.
template <typename Dtype>
void FillConstant(double value, const std::shared_ptr<Blob<Dtype>>& blob);

}  // namespace p3d

#endif  // P3D_ENGINE_FILLER_HPP_
