#ifndef P3D_KERNELS_CUDA_FUNCTIONS_HPP_
#define P3D_KERNELS_CUDA_FUNCTIONS_HPP_

// The door between the engine and its kernels for a GPU, which are a library of
// their own (p3d_cuda) that is loaded when somebody asks for a GPU: a table of
// functions, under the names that their headers give them.

#include <cstddef>

#include "kernels/affine_cuda.hpp"
#include "kernels/bn_cuda.hpp"
#include "kernels/conv_cuda.hpp"
#include "kernels/cuda_device.hpp"
#include "kernels/eltwise_cuda.hpp"
#include "kernels/epilogue_backward_cuda.hpp"
#include "kernels/losses_cuda.hpp"
#include "kernels/nccl_cuda.hpp"
#include "kernels/order_cuda.hpp"
#include "kernels/pointwise_cuda.hpp"
#include "kernels/pool_cuda.hpp"
#include "kernels/random_cuda.hpp"
#include "kernels/softmax_cuda.hpp"
#include "kernels/update_cuda.hpp"

// All that differ for float and double...
#define P3D_CUDA_KERNELS(X)  \
  X(ScaleShift)              \
  X(ScaleShiftGradients)     \
  X(ChannelStatistics)       \
  X(Normalize)               \
  X(NormalizeBackward)       \
  X(NormalizeBackwardFrozen) \
  X(UpdateRunning)           \
  X(Moments)                 \
  X(RankStatistics)          \
  X(NormalizeBackwardSums)   \
  X(NormalizeBackwardJoint)  \
  X(Convolve)                \
  X(ConvDataGradient)        \
  X(ConvWeightGradient)      \
  X(EltwiseSum)              \
  X(EltwiseProd)             \
  X(EltwiseProdBackward)     \
  X(EltwiseMax)              \
  X(EltwiseMaxBackward)      \
  X(LogLoss)                 \
  X(SoftmaxLossBackward)     \
  X(ToChannelsLast)          \
  X(ToCaffeOrder)            \
  X(Relu)                    \
  X(ReluBackward)            \
  X(Sigmoid)                 \
  X(SigmoidBackward)         \
  X(Tanh)                    \
  X(TanhBackward)            \
  X(MaxPool)                 \
  X(AveragePool)             \
  X(StochasticPool)          \
  X(StochasticPoolMean)      \
  X(MaskedPoolBackward)      \
  X(AveragePoolBackward)     \
  X(KeepRandomly)            \
  X(Softmax)                 \
  X(SoftmaxBackward)         \
  X(Update)                  \
  X(SumOfSquares)            \
  X(MeanOverRanks)
// ... and all that do not.
#define P3D_CUDA_FUNCTIONS(X)  \
  X(DeviceCount)               \
  X(DescribeDevice)            \
  X(DeviceSoftware)            \
  X(UseDevice)                 \
  X(DeviceStream)              \
  X(DeviceAllocate)            \
  X(DeviceRelease)             \
  X(DeviceBytesInUse)          \
  X(CopyToDevice)              \
  X(CopyToHost)                \
  X(CopyOnDevice)              \
  X(ZeroOnDevice)              \
  X(DeviceSynchronize)         \
  X(CaptureGraph)              \
  X(LaunchGraph)               \
  X(ReleaseGraph)              \
  X(BnScratchSize)             \
  X(ConvWeightGradientScratch) \
  X(EpilogueBackward)          \
  X(SumOfSquaresScratchSize)   \
  X(JoinStatistics)            \
  X(LoadNccl)                  \
  X(NewRanksId)                \
  X(JoinRanks)                 \
  X(RanksJoined)               \
  X(AbortRanks)                \
  X(CheckRanks)                \
  X(LeaveRanks)                \
  X(SumOverRanks)              \
  X(GatherFromRanks)           \
  X(CopyFromRank0)

namespace p3d {
namespace cuda {

#define P3D_MEMBER(name) decltype(&cuda::name<Dtype>) name;
template <typename Dtype>
struct Kernels {
  P3D_CUDA_KERNELS(P3D_MEMBER)
};
#undef P3D_MEMBER

#define P3D_MEMBER(name) decltype(&cuda::name) name;
struct Functions {
  // To be compared before anything else is read. To be counted up whenever a
  // function changes what it takes or does.
  int version;
  size_t size;
  P3D_CUDA_FUNCTIONS(P3D_MEMBER)
  Kernels<float> of_float;
  Kernels<double> of_double;
};
#undef P3D_MEMBER

constexpr int kFunctionsVersion = 2;

}  // namespace cuda
}  // namespace p3d

#if defined(__GNUC__)
#define P3D_EXPORT __attribute__((visibility("default")))
#else
#define P3D_EXPORT
#endif

// What the library exports.
extern "C" P3D_EXPORT const p3d::cuda::Functions* p3d_cuda_functions();

#endif  // P3D_KERNELS_CUDA_FUNCTIONS_HPP_
