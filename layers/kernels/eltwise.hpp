#ifndef P3D_KERNELS_ELTWISE_HPP_
#define P3D_KERNELS_ELTWISE_HPP_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace p3d {

// Arrays of `count` values joined value by value, from the first to the last.
// `top` may be one of the bottoms, of which there is at least one.

// top[i] = sum of coefficients[b] * bottoms[b][i]; one coefficient per bottom
template <typename Dtype>
void EltwiseSum(const std::vector<const Dtype*>& bottoms,
                const std::vector<float>& coefficients, int64_t count,
                Dtype* top);

// top[i] = product of bottoms[b][i]
template <typename Dtype>
void EltwiseProd(const std::vector<const Dtype*>& bottoms, int64_t count,
                 Dtype* top);

// top[i] = the largest of bottoms[b][i]. A NaN in the first bottom loses
// against the second; any other NaN stays until a later bottom is compared with
// it and does not win (Caffe's comparisons).
template <typename Dtype>
void EltwiseMax(const std::vector<const Dtype*>& bottoms, int64_t count,
                Dtype* top);

// Their gradients for one bottom; dx may be dy. Of EltwiseSum: dy times the
// bottom's coefficient, by EltwiseSum itself.

// dx[i] = dy[i] * product of the other bottoms' [i]
template <typename Dtype>
void EltwiseProdBackward(const std::vector<const Dtype*>& bottoms,
                         size_t bottom, const Dtype* dy, int64_t count,
                         Dtype* dx);

// dx[i] = dy[i] where EltwiseMax took the value of `bottom`, else 0. Equal
// values: the second of the first two bottoms, then the earlier (Caffe's
// comparisons).
template <typename Dtype>
void EltwiseMaxBackward(const std::vector<const Dtype*>& bottoms, size_t bottom,
                        const Dtype* dy, int64_t count, Dtype* dx);

}  // namespace p3d

#endif  // P3D_KERNELS_ELTWISE_HPP_
