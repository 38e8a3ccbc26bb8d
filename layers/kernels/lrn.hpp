#ifndef P3D_KERNELS_LRN_HPP_
#define P3D_KERNELS_LRN_HPP_

#include <cstdint>

namespace p3d {

// Local response normalisation over neighbouring channels, channels last:
//
//   y[r, c] = x[r, c] * (k + alpha / size * sum of x[r, j]^2)^-beta
//
// over the channels j with |j - c| <= (size - 1) / 2. size is odd. Sums are
// taken in double. y may be x.
template <typename Dtype>
void LrnAcrossChannels(int64_t rows, int64_t channels, int64_t size, double k,
                       double alpha, double beta, const Dtype* x, Dtype* y);

// Within one channel: squares[i] = x[i]^2, whose means over a pixel's
// neighbours (see AveragePool) are the mean_square of LrnApply.
template <typename Dtype>
void LrnSquares(int64_t count, const Dtype* x, Dtype* squares);

// y[i] = x[i] * (1 + alpha * mean_square[i])^-beta; y may be x.
template <typename Dtype>
void LrnApply(int64_t count, double alpha, double beta,
              const Dtype* mean_square, const Dtype* x, Dtype* y);

// The gradients; dx may be dy.

// dx[r, c] = dy[r, c] s[c]^-beta
//            - 2 alpha beta / size x[r, c] sum over j of dy[r, j] x[r, j]
//                                                        s[j]^(-beta - 1)
// with s[c] = k + alpha / size * sum of x[r, j]^2, both sums over the same j.
template <typename Dtype>
void LrnAcrossChannelsBackward(int64_t rows, int64_t channels, int64_t size,
                               double k, double alpha, double beta,
                               const Dtype* x, const Dtype* dy, Dtype* dx);

// Of LrnApply: dmean_square[i], which may be dy, and
//   dx[i] = dy[i] (1 + alpha mean_square[i])^-beta
// whose second part comes from dmean_square through the means and
// LrnSquaresBackward.
template <typename Dtype>
void LrnApplyBackward(int64_t count, double alpha, double beta,
                      const Dtype* mean_square, const Dtype* x, const Dtype* dy,
                      Dtype* dmean_square, Dtype* dx);

// dx[i] += 2 x[i] dsquares[i]
template <typename Dtype>
void LrnSquaresBackward(int64_t count, const Dtype* x, const Dtype* dsquares,
                        Dtype* dx);

}  // namespace p3d

#endif  // P3D_KERNELS_LRN_HPP_
