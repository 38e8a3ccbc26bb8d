#ifndef P3D_KERNELS_CONV_PLANAR_GEMM_HPP_
#define P3D_KERNELS_CONV_PLANAR_GEMM_HPP_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/conv/conv_igemm.hpp"
#include "kernels/conv/conv_planar.hpp"
#include "kernels/conv/tap_matrix.hpp"

namespace p3d {

// Rows of a panel that stay in L1 while the weights run over them.
const int64_t kPanelDepth = 256;
// So many tasks for each thread leave none waiting for long.
const int64_t kTasksPerThread = 4;

// PlanarConv by the micro-kernels of conv_igemm.hpp with the roles swapped:
// what they broadcast are the weights, read where they lie; what they have in
// vectors are neighbouring pixels of a plane. Only pixels are packed: panels of
// the tap matrix, as wide as a tile, are gathered shortly before they are used.
class PlanarGemm : public PlanarConv<float> {
 public:
  PlanarGemm(const ConvShape& shape, Isa isa);

  const char* name() const override { return name_.c_str(); }
  void Forward(const float* x, const float* weights, const float* bias,
               float* y) const override;
  void BackwardData(const float* dy, const float* weights,
                    float* dx) const override;
  void BackwardWeights(const float* dy, const float* x,
                       float* dw) const override;

 private:
  // Rows [first, end) of a group's weights, panels [first, end) of its pixels.
  struct Range {
    int64_t first, end;
  };
  // What belongs to image n and group g, `index` counting both.
  const float* InputOf(const float* x, int64_t index) const {
    return x + index * inputs_ * plane_in_;
  }
  template <typename Float>
  Float* OutputOf(Float* y, int64_t index) const {
    return y + index * outputs_ * plane_out_;
  }
  const float* WeightsOf(const float* weights, int64_t index) const {
    return weights + index % group_ * outputs_ * depth_;
  }

  int64_t PanelColumns(int64_t panel) const {
    return std::min(width_, plane_out_ - panel * width_);
  }
  int64_t Pitch(int64_t columns) const {
    return (columns + kernel_.vector - 1) / kernel_.vector * kernel_.vector;
  }
  void PackPanels(const float* planes, const Range& panels, const Range& depth,
                  float* packed) const;
  void MultiplyPanels(const float* weights, const Range& rows,
                      const Range& panels, const Range& depth,
                      const float* packed, bool add, float* y) const;
  void FillBias(const float* bias, const Range& rows, const Range& panels,
                float* y) const;
  void ForwardByPanels(const float* x, const float* weights, const float* bias,
                       float* y) const;
  void ForwardByRows(const float* planes, const float* weights,
                     const float* bias, float* y) const;
  void MirrorWeights(const float* weights, float* mirrored) const;
  void ScatterChannels(const float* dy, const float* weights,
                       const Range& channels, float* planes) const;
  struct Slice {
    int64_t group;
    int64_t row;         // first of kGradientRows rows of the tap matrix
    Range outputs;       // of the group
    Range pixel_blocks;  // counted through the images
  };
  void AddSlice(const float* dy, const float* x, const Slice& slice,
                float* dw) const;

  const ConvShape shape_;
  const Isa isa_;
  const IgemmKernel& kernel_;
  const std::string name_;
  const TapMatrix matrix_;
  const int64_t num_, group_, inputs_, outputs_;  // the last two: of a group
  const int64_t taps_, depth_;                    // depth: inputs * taps
  const int64_t plane_in_, plane_out_;
  const int64_t width_;         // columns of a panel
  const int64_t panels_;        // of one image
  const TapMatrix out_planes_;  // y as a matrix
};

// Null for shapes that would need absurd tables.
std::unique_ptr<PlanarConv<float>> CreatePlanarGemm(const ConvShape& shape,
                                                    Isa isa);

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_PLANAR_GEMM_HPP_
