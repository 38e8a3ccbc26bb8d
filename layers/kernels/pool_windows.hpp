#ifndef P3D_KERNELS_POOL_WINDOWS_HPP_
#define P3D_KERNELS_POOL_WINDOWS_HPP_

#include <algorithm>
#include <cstdint>

#include "kernels/pool.hpp"
#include "kernels/pool_range.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {

// How the pooling kernels walk over windows.

// The windows of one row of outputs along the last axis.
struct PoolRow {
  // Where their rows along the last axis begin: pixels of the image.
  int64_t* starts = nullptr;
  int64_t count = 0;
  // Elements of the leading axes when clipped to the padded input.
  double size = 1;
  // Memory for four values of every column of the input.
  void* line = nullptr;
};

// What the sum of the window of `range` in `row` is divided by; 1 if there is
// nothing in it.
inline double AverageSize(const PoolRow& row, const PoolRange& range) {
  const bool empty = row.count == 0 || range.begin >= range.end;
  return empty ? 1 : row.size * range.padded;
}

// `row`: counted through the leading axes of an image's outputs.
void SetPoolRow(const PoolShape& shape, int64_t row, PoolRow* result);

// The most starts that a row can have.
int64_t MostPoolStarts(const PoolShape& shape);

// The same memory with channels innermost: in Caffe's order one of num *
// channels images of one channel.
PoolShape WithChannelsLast(const PoolShape& shape, Order order);

// Calls body(row, x, y, count) for the row of outputs `task` and `count`
// channels from c on; x and y are the offsets of the image and of the row's
// first output, both at channel c.
template <typename Body>
void VisitPoolRow(const PoolShape& shape, int64_t task, int64_t c,
                  int64_t count, PoolRow* row, const Body& body) {
  const int64_t width = shape.axes.back().out;
  const int64_t rows = shape.out_pixels() / width;
  SetPoolRow(shape, task % rows, row);
  body(*row, task / rows * shape.in_pixels() * shape.channels + c,
       task * width * shape.channels + c, count);
}

// The same for all rows and channels, on all threads; several groups of
// channels where there are too few rows for them.
template <typename Body>
void ForEachPoolRow(const PoolShape& shape, const Body& body) {
  constexpr int64_t kManyRows = 64;
  constexpr int64_t kChannelGroup = 64;
  const int64_t rows = shape.num * shape.out_pixels() / shape.axes.back().out;
  const int64_t group = rows < kManyRows ? kChannelGroup : shape.channels;
  const int64_t groups = (shape.channels + group - 1) / group;
  const int64_t starts = MostPoolStarts(shape);
  const int64_t work =
      shape.axes.back().out * std::min(group, shape.channels) * starts;
  ParallelRanges(
      rows * groups, RowsPerRange(work), [&](int64_t first, int64_t stop) {
        const Scratch<int64_t> offsets(starts);
        const Scratch<double> line(4 * shape.axes.back().in);
        PoolRow row;
        row.starts = offsets.data();
        row.line = line.data();
        for (int64_t task = first; task < stop; ++task) {
          const int64_t c = task % groups * group;
          VisitPoolRow(shape, task / groups, c,
                       std::min(group, shape.channels - c), &row, body);
        }
      });
}

// Calls body(row, range, x, y, count) for every output: its window, the offsets
// of the image and of the output.
template <typename Body>
void ForEachWindow(const PoolShape& shape, const Body& body) {
  const PoolAxis& last = shape.axes.back();
  ForEachPoolRow(
      shape, [&](const PoolRow& row, int64_t x, int64_t y, int64_t count) {
        for (int64_t o = 0; o < last.out; ++o) {
          body(row, PoolRange(last, o), x, y + o * shape.channels, count);
        }
      });
}

// Channels that go together in ForEachPoolImage: one cache line of floats.
constexpr int64_t kPoolGroup = 16;

// Calls body(n, c, count) for groups of up to kPoolGroup channels of all
// images, each on one thread: who adds up what windows share needs no lock.
template <typename Body>
void ForEachPoolImage(const PoolShape& shape, const Body& body) {
  const int64_t groups = (shape.channels + kPoolGroup - 1) / kPoolGroup;
  const int64_t work = shape.in_pixels() * std::min(kPoolGroup, shape.channels);
  ParallelRanges(
      shape.num * groups, RowsPerRange(work), [&](int64_t first, int64_t stop) {
        for (int64_t task = first; task < stop; ++task) {
          const int64_t c = task % groups * kPoolGroup;
          body(task / groups, c, std::min(kPoolGroup, shape.channels - c));
        }
      });
}

// Calls body(pixel) for every input pixel of the window of `range` in `row`, in
// the order of the axes.
template <typename Body>
void ForEachPixel(const PoolRow& row, const PoolRange& range,
                  const Body& body) {
  for (int64_t r = 0; r < row.count; ++r) {
    for (int64_t p = range.begin; p < range.end; ++p) body(row.starts[r] + p);
  }
}

}  // namespace p3d

#endif  // P3D_KERNELS_POOL_WINDOWS_HPP_
