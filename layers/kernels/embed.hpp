#ifndef P3D_KERNELS_EMBED_HPP_
#define P3D_KERNELS_EMBED_HPP_

#include <cstdint>

#include "kernels/row_index.hpp"

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

// What x is of the table.
template <typename Dtype>
RowIndex<Dtype> EmbedIndex(const Dtype* x, int64_t inputs) {
  return {x, inputs, true};
}
// The Error for an index that has no row.
[[noreturn]] void RefuseEmbedIndex(double index, int64_t inputs);

}  // namespace p3d

#endif  // P3D_KERNELS_EMBED_HPP_
