#include "kernels/crop.hpp"

#include <algorithm>

#include "kernels/ranges.hpp"

namespace p3d {

template <typename Dtype>
void Crop(std::vector<CropAxis> axes, const Dtype* from, Dtype* to) {
  // Axes that are not cut at the end belong to the runs that are copied whole.
  CropAxis run;
  while (!axes.empty() && run.size == run.in) {
    const CropAxis axis = axes.back();
    axes.pop_back();
    run = {axis.in * run.in, axis.offset * run.in, axis.size * run.in};
  }
  int64_t rows = 1;
  for (const CropAxis& axis : axes) rows *= axis.size;
  if (run.size == 0) return;
  ParallelRanges(rows, RowsPerRange(run.size), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      int64_t offset = run.offset;
      int64_t stride = run.in;
      int64_t rest = r;
      for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
        offset += (axis->offset + rest % axis->size) * stride;
        stride *= axis->in;
        rest /= axis->size;
      }
      std::copy(from + offset, from + offset + run.size, to + r * run.size);
    }
  });
}

template void Crop(std::vector<CropAxis>, const float*, float*);
template void Crop(std::vector<CropAxis>, const double*, double*);

}  // namespace p3d
