#ifndef P3D_KERNELS_PANEL_CONV_HPP_
#define P3D_KERNELS_PANEL_CONV_HPP_

#include <cstdint>
#include <vector>

#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_panels.hpp"

namespace p3d {

// A convolution whose packed weights are WeightPanels.
class PanelConv : public Conv {
 public:
  int64_t packed_size() const override { return panels_.size(); }
  uint64_t pack_key() const override { return panels_.key(); }
  void Pack(const float* weights, float* packed) const override {
    panels_.Pack(weights, packed);
  }
  void Unpack(const float* packed, float* weights) const override {
    panels_.Unpack(packed, weights);
  }
  void PackMirrored(const float* weights, const std::vector<int64_t>& taps,
                    int64_t all_taps, float* packed) const override {
    panels_.PackMirrored(weights, taps, all_taps, packed);
  }

 protected:
  explicit PanelConv(const WeightPanels& panels) : panels_(panels) {}

  const WeightPanels panels_;
};

}  // namespace p3d

#endif  // P3D_KERNELS_PANEL_CONV_HPP_
