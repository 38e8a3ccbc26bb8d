#ifndef P3D_KERNELS_CUDA_FUNCTIONS_HPP_
#define P3D_KERNELS_CUDA_FUNCTIONS_HPP_

// The door between the engine and its kernels for a GPU, which are a library of
// their own (p3d_cuda) that is loaded when somebody asks for a GPU: a table of
// functions, under the names that their headers give them.

#include <cstddef>

#include "kernels/accuracy_cuda.hpp"
#include "kernels/affine_cuda.hpp"
#include "kernels/bn_cuda.hpp"
#include "kernels/conv/conv_choice.hpp"
#include "kernels/conv/conv_cuda.hpp"
#include "kernels/copy_rows_cuda.hpp"
#include "kernels/crop_cuda.hpp"
#include "kernels/cuda/cuda_device.hpp"
#include "kernels/cuda/nccl_cuda.hpp"
#include "kernels/eltwise_cuda.hpp"
#include "kernels/embed_cuda.hpp"
#include "kernels/epilogue_backward_cuda.hpp"
#include "kernels/gather_rows_cuda.hpp"
#include "kernels/im2col_cuda.hpp"
#include "kernels/losses_cuda.hpp"
#include "kernels/lrn_cuda.hpp"
#include "kernels/mvn_cuda.hpp"
#include "kernels/narrow_cuda.hpp"
#include "kernels/order_cuda.hpp"
#include "kernels/pixels_cuda.hpp"
#include "kernels/pointwise_cuda.hpp"
#include "kernels/pool_cuda.hpp"
#include "kernels/random_cuda.hpp"
#include "kernels/recurrent_cuda.hpp"
#include "kernels/reduction_cuda.hpp"
#include "kernels/softmax_cuda.hpp"
#include "kernels/top_k_cuda.hpp"
#include "kernels/update_cuda.hpp"

// Those of every kind of values...
#define P3D_CUDA_PRODUCTS(X) \
  X(Convolve)                \
  X(ConvolveName)            \
  X(ConvDataGradient)        \
  X(ConvWeightGradient)
// ... of all but Tf32, which are floats but to those above,
#define P3D_CUDA_VALUE_KERNELS(X) \
  X(ScaleShift)                   \
  X(ScaleShiftGradients)          \
  X(ChannelStatistics)            \
  X(Normalize)                    \
  X(NormalizeBackward)            \
  X(NormalizeBackwardFrozen)      \
  X(RankStatistics)               \
  X(NormalizeBackwardSums)        \
  X(NormalizeBackwardJoint)       \
  X(EltwiseSum)                   \
  X(EltwiseProd)                  \
  X(EltwiseProdBackward)          \
  X(EltwiseMax)                   \
  X(EltwiseMaxBackward)           \
  X(EpilogueBackward)             \
  X(ToChannelsLast)               \
  X(PixelsToChannelsLast)         \
  X(Relu)                         \
  X(ReluBackward)                 \
  X(Sigmoid)                      \
  X(SigmoidBackward)              \
  X(Tanh)                         \
  X(TanhBackward)                 \
  X(Abs)                          \
  X(AbsBackward)                  \
  X(Bnll)                         \
  X(BnllBackward)                 \
  X(Clip)                         \
  X(ClipBackward)                 \
  X(Elu)                          \
  X(EluBackward)                  \
  X(Exp)                          \
  X(ExpBackward)                  \
  X(Log)                          \
  X(LogBackward)                  \
  X(Power)                        \
  X(PowerBackward)                \
  X(Swish)                        \
  X(SwishBackward)                \
  X(Threshold)                    \
  X(Prelu)                        \
  X(PreluBackward)                \
  X(CopyRows)                     \
  X(Crop)                         \
  X(Uncrop)                       \
  X(LrnAcrossChannels)            \
  X(LrnSquares)                   \
  X(LrnApply)                     \
  X(LrnAcrossChannelsBackward)    \
  X(LrnApplyBackward)             \
  X(LrnSquaresBackward)           \
  X(GatherRows)                   \
  X(GatherRowsBackward)           \
  X(TileRows)                     \
  X(TileRowsBackward)             \
  X(Embed)                        \
  X(EmbedBackward)                \
  X(Im2col)                       \
  X(Im2colBackward)               \
  X(MvnNormalize)                 \
  X(MvnBackward)                  \
  X(ReduceRows)                   \
  X(ReduceRowsBackward)           \
  X(TopK)                         \
  X(MaxPool)                      \
  X(AveragePool)                  \
  X(MaskedPoolBackward)           \
  X(AveragePoolBackward)          \
  X(KeepRandomly)
// ... of float and double alone,
#define P3D_CUDA_KERNELS(X)      \
  X(UpdateRunning)               \
  X(Moments)                     \
  X(CountHits)                   \
  X(LogLoss)                     \
  X(LogLossBackward)             \
  X(SoftmaxLossBackward)         \
  X(SigmoidCrossEntropyLoss)     \
  X(SigmoidCrossEntropyBackward) \
  X(SquaredDistance)             \
  X(SquaredDistanceBackward)     \
  X(HingeLoss)                   \
  X(HingeLossBackward)           \
  X(InfogainLoss)                \
  X(SoftmaxInfogainBackward)     \
  X(ContrastiveLoss)             \
  X(ContrastiveLossBackward)     \
  X(ToCaffeOrder)                \
  X(CheckRows)                   \
  X(ContinueStates)              \
  X(LstmStep)                    \
  X(LstmStepBackward)            \
  X(StochasticPool)              \
  X(StochasticPoolMean)          \
  X(Softmax)                     \
  X(SoftmaxBackward)             \
  X(Update)                      \
  X(SumOfSquares)                \
  X(MeanOverRanks)
// ... of 16 bits alone,
#define P3D_CUDA_NARROW_KERNELS(X) \
  X(Narrow)                        \
  X(Widen)
// ... and all that do not.
#define P3D_CUDA_FUNCTIONS(X)  \
  X(DeviceCount)               \
  X(DescribeDevice)            \
  X(DeviceSoftware)            \
  X(UseDevice)                 \
  X(DeviceStream)              \
  X(UseConvLibraries)          \
  X(ConvLibraries)             \
  X(ConvChoices)               \
  X(ForwardWay)                \
  X(DeviceAllocate)            \
  X(DeviceRelease)             \
  X(DeviceBytesInUse)          \
  X(DeviceFree)                \
  X(DeviceMostReserved)        \
  X(CopyToDevice)              \
  X(CopyToHost)                \
  X(CopyOnDevice)              \
  X(ZeroOnDevice)              \
  X(DeviceSynchronize)         \
  X(HostAllocate)              \
  X(HostRelease)               \
  X(CreateEvent)               \
  X(ReleaseEvent)              \
  X(RecordEvent)               \
  X(DeviceWait)                \
  X(HostWait)                  \
  X(CopyAhead)                 \
  X(CopyBack)                  \
  X(CaptureGraph)              \
  X(LaunchGraph)               \
  X(ReleaseGraph)              \
  X(BnScratchSize)             \
  X(NormalizeScratchSize)      \
  X(MvnScratchSize)            \
  X(SumsScratchSize)           \
  X(ConvolveScratch)           \
  X(ConvDataGradientScratch)   \
  X(ConvWeightGradientScratch) \
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

#define P3D_MEMBER(name) decltype(&cuda::name<Value>) name;
template <typename Value>
struct Kernels {
  P3D_CUDA_PRODUCTS(P3D_MEMBER)
  P3D_CUDA_VALUE_KERNELS(P3D_MEMBER)
  P3D_CUDA_KERNELS(P3D_MEMBER)
};
template <>
struct Kernels<Tf32> {
  using Value = Tf32;
  P3D_CUDA_PRODUCTS(P3D_MEMBER)
};
template <>
struct Kernels<Bf16> {
  using Value = Bf16;
  P3D_CUDA_PRODUCTS(P3D_MEMBER)
  P3D_CUDA_VALUE_KERNELS(P3D_MEMBER)
  P3D_CUDA_NARROW_KERNELS(P3D_MEMBER)
};
template <>
struct Kernels<Fp16> {
  using Value = Fp16;
  P3D_CUDA_PRODUCTS(P3D_MEMBER)
  P3D_CUDA_VALUE_KERNELS(P3D_MEMBER)
  P3D_CUDA_NARROW_KERNELS(P3D_MEMBER)
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
  Kernels<Tf32> of_tf32;
  Kernels<Bf16> of_bf16;
  Kernels<Fp16> of_fp16;
};
#undef P3D_MEMBER

constexpr int kFunctionsVersion = 12;

}  // namespace cuda
}  // namespace p3d

#if defined(__GNUC__)
#define P3D_EXPORT __attribute__((visibility("default")))
#else
#define P3D_EXPORT
#endif

// The table's contents, where P3D_ENTRY(function) says what stands for each.
#define P3D_CUDA_TABLE                                                    \
  {                                                                       \
    p3d::cuda::kFunctionsVersion, sizeof(p3d::cuda::Functions),           \
        P3D_CUDA_FUNCTIONS(P3D_ANY){P3D_CUDA_PRODUCTS(P3D_FLOAT)          \
                                        P3D_CUDA_VALUE_KERNELS(P3D_FLOAT) \
                                            P3D_CUDA_KERNELS(P3D_FLOAT)}, \
        {P3D_CUDA_PRODUCTS(P3D_DOUBLE) P3D_CUDA_VALUE_KERNELS(P3D_DOUBLE) \
             P3D_CUDA_KERNELS(P3D_DOUBLE)},                               \
        {P3D_CUDA_PRODUCTS(P3D_TF32)},                                    \
        {P3D_CUDA_PRODUCTS(P3D_BF16) P3D_CUDA_VALUE_KERNELS(P3D_BF16)     \
             P3D_CUDA_NARROW_KERNELS(P3D_BF16)},                          \
    {                                                                     \
      P3D_CUDA_PRODUCTS(P3D_FP16)                                         \
      P3D_CUDA_VALUE_KERNELS(P3D_FP16) P3D_CUDA_NARROW_KERNELS(P3D_FP16)  \
    }                                                                     \
  }
#define P3D_ANY(name) P3D_ENTRY(p3d::cuda::name)
#define P3D_FLOAT(name) P3D_ENTRY(p3d::cuda::name<float>)
#define P3D_DOUBLE(name) P3D_ENTRY(p3d::cuda::name<double>)
#define P3D_TF32(name) P3D_ENTRY(p3d::cuda::name<p3d::Tf32>)
#define P3D_BF16(name) P3D_ENTRY(p3d::cuda::name<p3d::Bf16>)
#define P3D_FP16(name) P3D_ENTRY(p3d::cuda::name<p3d::Fp16>)

// What the library exports.
extern "C" P3D_EXPORT const p3d::cuda::Functions* p3d_cuda_functions();

#endif  // P3D_KERNELS_CUDA_FUNCTIONS_HPP_
