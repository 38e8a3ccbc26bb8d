#ifndef P3D_KERNELS_GATHER_ROWS_HPP_
#define P3D_KERNELS_GATHER_ROWS_HPP_

#include <cstdint>
#include <vector>

namespace p3d {

// to[r * width + i] = from[index[r] * width + i]
template <typename Dtype>
void GatherRows(const std::vector<int64_t>& index, int64_t width,
                const Dtype* from, Dtype* to);

// Each of `rows` rows of `width` values `tiles` times in sequence:
// to[(r * tiles + t) * width + i] = from[r * width + i]
template <typename Dtype>
void TileRows(int64_t rows, int64_t tiles, int64_t width, const Dtype* from,
              Dtype* to);

// Their gradients, which fill dfrom.

// dfrom[r, i] = sum of dto[j, i] over the j with index[j] = r, r < rows
template <typename Dtype>
void GatherRowsBackward(const std::vector<int64_t>& index, int64_t rows,
                        int64_t width, const Dtype* dto, Dtype* dfrom);

// dfrom[r, i] = sum over t of dto[r * tiles + t, i]
template <typename Dtype>
void TileRowsBackward(int64_t rows, int64_t tiles, int64_t width,
                      const Dtype* dto, Dtype* dfrom);

}  // namespace p3d

#endif  // P3D_KERNELS_GATHER_ROWS_HPP_
