#ifndef P3D_KERNELS_CONV_WINOGRAD_HPP_
#define P3D_KERNELS_CONV_WINOGRAD_HPP_

#include <cstdint>
#include <memory>

#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_igemm.hpp"

namespace p3d {

// Winograd's F(2x2, 3x3): a tile of 2x2 outputs of a 3x3 kernel from 16
// products per input and output channel instead of 36. With the tile's 4x4
// inputs d and the kernel g,
//
//   y = A^T [(G g G^T) . (B^T d B)] A       (. multiplies value by value)
//
//         1  0 -1  0         1   0   0            1  1  1  0
//   B^T = 0  1  1  0    G = 1/2 1/2 1/2     A^T = 0  1 -1 -1
//         0 -1  1  0        1/2 -1/2 1/2
//         0  1  0 -1         0   0   1
//
// Summed over input channels, each of the 16 positions is a matrix product of
// its own: transformed inputs (tiles x channels) times transformed weights
// (channels x num_output).
//
// The gradient of the weights takes the same matrices, turned:
//
//   dg = G^T [sum over tiles of (A dy A^T) . (B^T d B)] G
//
// Each position is a product of transformed gradients of y (num_output x tiles)
// and transformed inputs (tiles x channels).

constexpr int64_t kWinogradTaps = 9;
constexpr int64_t kWinogradPositions = 16;

// The transforms of one instruction set and kind of values. Position p of 16,
// rows of four, lies at p * step behind the first one.

// `pixels` are a tile's 16 inputs, `channels` values each. The results are as
// many, filled up to whole vectors.
template <typename Value>
struct WinogradInput {
  const Value* const* pixels;
  int64_t channels;
  Value* v;
  int64_t step;
};

// `count` floats, whole vectors, of each of nine taps, tap_step apart. The four
// corners are left out: they would be copies of the taps' corners.
struct WinogradWeights {
  const float* taps;
  int64_t tap_step;
  int64_t count;
  float* u;
  int64_t step;
};

// The sums of tile t, `width` floats, lie at m + t * pitch. Its outputs, then
// the epilogue, go to y + y_places[4 * t + k]; -1 stands for one that is not
// there.
template <typename Value>
struct WinogradOutput {
  const float* m;
  int64_t step;
  int64_t pitch;
  int64_t tiles;
  int64_t width;
  Epilogue<Value> epilogue;
  Value* y;
  const int64_t* y_places;
};

// Tiles that share words (see IgemmTileOf), two of Bf16 or one of floats, one
// behind the other: the 16 inputs of each, or its four values of dy. As many
// words at each position as there are channels, filled up to whole vectors.
template <typename Value>
struct WinogradWords {
  const Value* const* pixels;
  int64_t channels;
  float* words;
  int64_t step;
};

// `count` floats, whole vectors, of sums over tiles at each position. Their
// nine taps lie tap_step apart.
struct WinogradTaps {
  const float* m;
  int64_t step;
  int64_t count;
  float* taps;
  int64_t tap_step;
};

// What the gradient of weights takes: the transforms of x, of dy, of the sums.
template <typename Value>
struct WinogradGradient {
  void (*input)(const WinogradWords<Value>& tiles);
  void (*output)(const WinogradWords<Value>& tiles);
  void (*taps)(const WinogradTaps& sums);
};

template <typename Value>
struct WinogradKernelOf {
  const char* name;
  void (*input)(const WinogradInput<Value>& tile);
  // Null where weights are packed as they are multiplied.
  void (*weights)(const WinogradWeights& panel);
  void (*output)(const WinogradOutput<Value>& block);
  WinogradGradient<Value> gradient;
};
using WinogradKernel = WinogradKernelOf<float>;

// Null where the compiler's target has no such set.
const WinogradKernel* WinogradKernelAvx512();
const WinogradKernel* WinogradKernelAvx2();
const WinogradKernel* WinogradKernelGeneric();
const WinogradKernel* WinogradKernelFor(Isa isa);

// "conv_f32_winograd_2x2_<isa>", with the packed weights of CreateConvIgemm.
// Null for what it cannot do or would not do faster: kernels other than 3 along
// two axes (1 along the others), strides, dilation, groups, replicated padding,
// small images and few channels.
std::unique_ptr<Conv> CreateConvWinograd(const ConvShape& shape, Isa isa);
// Null only for what it cannot do.
std::unique_ptr<Conv> CreateConvWinogradAnyway(const ConvShape& shape, Isa isa);

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_WINOGRAD_HPP_
