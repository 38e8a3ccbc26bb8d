#ifndef P3D_KERNELS_CONV_PANELS_HPP_
#define P3D_KERNELS_CONV_PANELS_HPP_

#include <algorithm>
#include <cstdint>
#include <vector>

namespace p3d {

// How the weights of a convolution are packed for an indirect GEMM: per group,
// panels of neighbouring output channels, one after the other; in a panel a row
// of weights per tap and input channel (channels fastest), the outputs side by
// side. The last panel is filled up with zeros to whole vectors.
class WeightPanels {
 public:
  // Of a group: `inputs` and `outputs` channels. `vector` floats are loaded at
  // once; a panel is `vectors` of them wide.
  WeightPanels(int64_t groups, int64_t inputs, int64_t outputs, int64_t taps,
               int64_t vector, int64_t vectors);

  int64_t groups() const { return groups_; }
  int64_t inputs() const { return inputs_; }
  int64_t outputs() const { return outputs_; }
  int64_t panels() const { return panels_; }         // of a group
  int64_t depth() const { return inputs_ * taps_; }  // rows of a panel

  // Of one panel of a group: its first output, how many it has, and the floats
  // from one row to the next.
  int64_t First(int64_t panel) const { return panel * widest_; }
  int64_t Width(int64_t panel) const {
    return std::min(widest_, outputs_ - First(panel));
  }
  int64_t Pitch(int64_t panel) const {
    return (Width(panel) + vector_ - 1) / vector_ * vector_;
  }
  int64_t Size(int64_t panel) const { return Pitch(panel) * depth(); }

  // Where a panel begins in the packed weights.
  int64_t Offset(int64_t group, int64_t panel) const {
    return group * group_size_ + First(panel) * depth();
  }
  int64_t size() const { return groups_ * group_size_; }
  uint64_t key() const;  // equal for equal layouts

  // From and to Caffe's order (groups x outputs, inputs, taps).
  void Pack(const float* weights, float* packed) const;
  void Unpack(const float* packed, float* weights) const;
  // From (groups x inputs, outputs, all_taps), of which taps are picked: see
  // Conv.
  void PackMirrored(const float* weights, const std::vector<int64_t>& taps,
                    int64_t all_taps, float* packed) const;

 private:
  // The other convolution's taps: of each here, and the other way round (-1
  // for those that are not picked).
  struct Mirror {
    const int64_t* taps;
    const int64_t* places;
    int64_t all_taps;
  };
  void MirrorRow(const float* from, const Mirror& mirror, int64_t panel,
                 bool last, float* to) const;
  void PackPanel(const float* weights, int64_t panel, float* packed) const;

  int64_t groups_, inputs_, outputs_, taps_, vector_;
  int64_t widest_;
  int64_t panels_;
  int64_t group_size_;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_PANELS_HPP_
