#ifndef P3D_KERNELS_CONV_BF16_IGEMM_HPP_
#define P3D_KERNELS_CONV_BF16_IGEMM_HPP_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/conv/conv_bf16.hpp"
#include "kernels/conv/conv_bf16_panels.hpp"
#include "kernels/conv/conv_loops.hpp"

namespace p3d {

// "conv_bf16_igemm_<tile>_<isa>", an indirect GEMM (see conv_igemm.hpp) whose
// words are pairs of channels.
template <typename Out>
class Bf16Igemm : public Bf16PanelConv<Out> {
 public:
  // Null for what it cannot do (see Bf16ConvTo).
  static std::unique_ptr<const Bf16Igemm> Create(const ConvShape& shape,
                                                 Isa isa);

  void Pack(const float* weights, float* packed) const override;
  // See Conv.
  void PackMirrored(const float* weights, const std::vector<int64_t>& taps,
                    int64_t all_taps, float* packed) const;
  int64_t workspace_size() const override {
    return input_words() + loops_->workspace_size();
  }
  void Run(const Bf16* x, const float* packed, const Epilogue<Out>& epilogue,
           Out* y, float* workspace,
           const NextWeights& next = NextWeights()) const override;

 private:
  using Loops = ConvLoops<Out>;
  Bf16Igemm(const char* name, const ConvShape& shape,
            const WeightPanels& panels, Isa isa,
            std::unique_ptr<const Loops> loops);
  int64_t input_words() const;

  const ConvShape shape_;
  const std::unique_ptr<const Loops> loops_;
};

// Bf16Igemm::Create as one of many ways.
template <typename Out>
std::unique_ptr<const Bf16ConvTo<Out>> CreateBf16Igemm(const ConvShape& shape,
                                                       Isa isa) {
  return Bf16Igemm<Out>::Create(shape, isa);
}

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_BF16_IGEMM_HPP_
