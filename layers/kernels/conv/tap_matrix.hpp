#ifndef P3D_KERNELS_TAP_MATRIX_HPP_
#define P3D_KERNELS_TAP_MATRIX_HPP_

#include <cstdint>
#include <vector>

#include "kernels/conv/conv.hpp"

namespace p3d {

// A part of a matrix.
struct MatrixBlock {
  int64_t row, rows;
  int64_t column, columns;
};

// The matrix that a convolution in Caffe's order multiplies its weights with,
// for one image and one group ("im2col"), never stored as a whole: row
// (i, k), taps k fastest, and column p hold the input value of channel i that
// output pixel p sees through tap k, or 0 where that is padding.
class TapMatrix {
 public:
  // Throws Error for replicated padding.
  explicit TapMatrix(const ConvShape& shape);

  int64_t rows() const { return channels_ * taps_; }
  int64_t columns() const { return out_rows_ * out_width_; }

  // Copies a block as panels of `pitch` columns, one behind the other:
  //
  //   to[(j / pitch * rows + r) * pitch + j % pitch] = the block's value [r, j]
  //
  // What the last panel has beyond the block becomes 0. `planes` is the group's
  // first channel.
  void Gather(const float* planes, const MatrixBlock& block, int64_t pitch,
              float* to) const;

  // The other way round, from one panel: adds from[r * pitch + j] to the input
  // value that the block's value [r, j] is. pitch >= block.columns
  void ScatterAdd(const float* from, const MatrixBlock& block, int64_t pitch,
                  float* planes) const;

 private:
  // `length` values of a line, `to` behind its start, that come from the
  // plane's place `from` on, step_ apart; zeros where from is -1.
  struct Run {
    int64_t to, from, length;
  };
  // The runs of one line, each within a panel.
  struct Line {
    Run* runs;
    int64_t count;
    int64_t pitch, panel;  // values of a panel's row and of a panel
    void Add(int64_t column, int64_t from, int64_t length, int64_t step);
  };
  // The output columns of a row that one tap of the last axis sees inside.
  struct Inside {
    int64_t begin, end;
    int64_t from;  // the input place of column 0
  };
  void SetInside(const ConvAxis& last);
  void SetRowPlaces(const ConvShape& shape);
  int64_t MostRuns(const MatrixBlock& block, int64_t pitch) const;
  void FindRuns(int64_t tap, const MatrixBlock& block, Line* line) const;
  template <typename Body>
  void ForEachLine(const MatrixBlock& block, int64_t pitch,
                   const Body& body) const;
  void GatherRuns(const float* planes, const MatrixBlock& block, int64_t pitch,
                  float* to) const;
  void FindMask(int64_t tap, const MatrixBlock& block, uint32_t* mask) const;
  void GatherShifted(const float* planes, const MatrixBlock& block,
                     int64_t pitch, float* to) const;

  int64_t channels_;  // of a group
  int64_t taps_;
  int64_t plane_;  // pixels of a channel
  int64_t step_;   // from one output pixel's input to the next one's
  int64_t out_rows_, out_width_;
  // Output pixel p sees through a tap the input place p + the tap's shift, or
  // padding: no strides, and the axes behind the first keep their size.
  bool is_shifted_;
  std::vector<int64_t> shifts_;
  // Where the input row of output row r is for tap t of the leading axes, at
  // [t * out_rows_ + r]; -1 where it is padding.
  std::vector<int64_t> row_places_;
  std::vector<Inside> inside_;  // of each tap of the last axis
};

}  // namespace p3d

#endif  // P3D_KERNELS_TAP_MATRIX_HPP_
