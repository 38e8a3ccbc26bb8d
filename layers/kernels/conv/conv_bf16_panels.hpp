#ifndef P3D_KERNELS_CONV_BF16_PANELS_HPP_
#define P3D_KERNELS_CONV_BF16_PANELS_HPP_

#include <cstdint>

#include "kernels/conv/conv_bf16.hpp"
#include "kernels/conv/conv_bf16_kernels.hpp"
#include "kernels/conv/conv_panels.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/scratch.hpp"

namespace p3d {

// `rows` rows of floats, rounded by `kernels`; pairs of them, one above the
// other, become rows of words. A last one that is alone gets one of zeros.
void PairRows(const Bf16Kernels& kernels, const float* from, int64_t rows,
              int64_t length, float* words);

// A Bf16ConvTo whose packed weights are WeightPanels of pairs.
template <typename Out>
class Bf16PanelConv : public Bf16ConvTo<Out> {
 public:
  const char* name() const override { return name_; }
  int64_t packed_size() const override { return panels_.size(); }
  uint64_t pack_key() const override { return panels_.key() * 2 + 1; }

 protected:
  Bf16PanelConv(const char* name, const WeightPanels& panels, Isa isa)
      : name_(name), panels_(panels), kernels_(Bf16KernelsFor(isa)) {}

  const WeightPanels& panels() const { return panels_; }
  void PairRows(const float* from, int64_t rows, int64_t length,
                float* words) const {
    p3d::PairRows(kernels_, from, rows, length, words);
  }

  // Packs the words that write(o, words) writes for output channel o, in
  // WeightPanels' order.
  template <typename Write>
  void PackWords(const Write& write, float* packed) const {
    const int64_t outputs = panels_.groups() * panels_.outputs();
    const Scratch<float> words(outputs * panels_.depth());
    ParallelFor(outputs, [&](int64_t o) {
      write(o, words.data() + o * panels_.depth());
    });
    panels_.Pack(words.data(), packed);
  }

 private:
  const char* const name_;
  const WeightPanels panels_;
  const Bf16Kernels& kernels_;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_BF16_PANELS_HPP_
