#include "kernels/conv/conv_bf16_loops.hpp"

#include <utility>

#include "kernels/conv/conv_bf16_amx_loops.hpp"
#include "kernels/conv/conv_bf16_kernels.hpp"
#include "kernels/conv/conv_igemm_loops.hpp"

namespace p3d {
namespace {

WeightPanels PanelsOf(const ConvShape& pairs, int64_t vector, int64_t vectors) {
  return WeightPanels(pairs.group, pairs.channels / pairs.group,
                      pairs.num_output / pairs.group, pairs.taps(), vector,
                      vectors);
}

// Words that lie side by side in the input: with fewer, putting them together
// takes matrix registers longer than vectors take for the whole. The weights'
// shape alone decides, as it does on their layout.
bool HasLongRuns(const ConvShape& pairs) {
  const int64_t kLong = 4;
  const ConvAxis& last = pairs.axes.back();
  const bool joined = pairs.group == 1 && last.dilation == 1;
  return pairs.channels / pairs.group * (joined ? last.kernel : 1) >= kLong;
}

}  // namespace

template <typename Out>
Bf16Loops<Out> Bf16Loops<Out>::Create(const ConvShape& pairs, Isa isa) {
  const AmxKernels* const amx =
      HasLongRuns(pairs) ? AmxKernelsFor(isa) : nullptr;
  if (amx) {
    using Loops = AmxLoops<Out>;
    const WeightPanels panels =
        PanelsOf(pairs, Loops::kVector, Loops::kVectors);
    auto loops = Loops::Create(pairs, panels, *amx);
    if (loops) return {amx->name, panels, std::move(loops)};
  }
  // What would be too large for matrix registers has their panels.
  const auto& kernel = Holding(amx ? 1 : pairs.num_output / pairs.group,
                               Bf16KernelsFor(isa).template To<Out>());
  const WeightPanels panels = PanelsOf(pairs, kernel.vector, kernel.vectors);
  return {kernel.name, panels, IgemmLoops<Out>::Create(pairs, panels, kernel)};
}

template struct Bf16Loops<Bf16>;
template struct Bf16Loops<float>;

}  // namespace p3d
