#include "kernels/crop.hpp"

#include <algorithm>
#include <utility>

#include "kernels/narrow.hpp"
#include "kernels/ranges.hpp"

namespace p3d {

namespace {

// Calls body(place, row, size) for every run of the block: where it lies in the
// whole, its number and its values.
template <typename Body>
void ForEachRun(std::vector<CropAxis> axes, const Body& body) {
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
      body(offset, r, run.size);
    }
  });
}

}  // namespace

template <typename Dtype>
void Crop(std::vector<CropAxis> axes, const Dtype* from, Dtype* to) {
  ForEachRun(std::move(axes), [=](int64_t place, int64_t row, int64_t size) {
    std::copy(from + place, from + place + size, to + row * size);
  });
}

template <typename Dtype>
void Uncrop(std::vector<CropAxis> axes, const Dtype* from, Dtype* to) {
  int64_t count = 1;
  for (const CropAxis& axis : axes) count *= axis.in;
  ParallelRanges(count, kRange, [=](int64_t begin, int64_t end) {
    std::fill(to + begin, to + end, Dtype(0));
  });
  ForEachRun(std::move(axes), [=](int64_t place, int64_t row, int64_t size) {
    std::copy(from + row * size, from + (row + 1) * size, to + place);
  });
}

template void Crop(std::vector<CropAxis>, const float*, float*);
template void Crop(std::vector<CropAxis>, const double*, double*);
template void Crop(std::vector<CropAxis>, const Bf16*, Bf16*);
template void Uncrop(std::vector<CropAxis>, const float*, float*);
template void Uncrop(std::vector<CropAxis>, const double*, double*);

}  // namespace p3d
