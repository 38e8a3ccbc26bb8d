#ifndef P3D_KERNELS_EMBED_HPP_
#define P3D_KERNELS_EMBED_HPP_

#include <cstdint>

namespace p3d {

// y[m, o] = weights[x[m], o] + bias[o] for m < count, o < outputs; a null bias
// stands for 0. x holds whole numbers (fractions are cut off) from 0 to below
// `inputs`; others throw Error.
template <typename Dtype>
void Embed(int64_t count, int64_t inputs, int64_t outputs, const Dtype* x,
           const Dtype* weights, const Dtype* bias, Dtype* y);

// dweights[x[m], o] += dy[m, o], in the order of m; x as above.
template <typename Dtype>
void EmbedBackward(int64_t count, int64_t inputs, int64_t outputs,
                   const Dtype* x, const Dtype* dy, Dtype* dweights);

}  // namespace p3d

#endif  // P3D_KERNELS_EMBED_HPP_
