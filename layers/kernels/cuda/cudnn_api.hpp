#ifndef P3D_KERNELS_CUDNN_API_HPP_
#define P3D_KERNELS_CUDNN_API_HPP_

// What is used of cuDNN 9's graph interface ("backend API"): its numbers and
// the types of its functions, so that no header of NVIDIA's is needed to build.
// tests/gpu/check_cudnn_api.cpp compares them with the real header.

#include <cstddef>
#include <cstdint>

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cudnn {

// X(our name, cuDNN's name, number)
#define P3D_CUDNN_NUMBERS(X)                                                 \
  X(kSuccess, CUDNN_STATUS_SUCCESS, 0)                                       \
  X(kFloat, CUDNN_DATA_FLOAT, 0)                                             \
  X(kHalf, CUDNN_DATA_HALF, 2)                                               \
  X(kBfloat16, CUDNN_DATA_BFLOAT16, 9)                                       \
  X(kCrossCorrelation, CUDNN_CROSS_CORRELATION, 1)                           \
  X(kAdd, CUDNN_POINTWISE_ADD, 0)                                            \
  X(kMul, CUDNN_POINTWISE_MUL, 1)                                            \
  X(kReluForward, CUDNN_POINTWISE_RELU_FWD, 100)                             \
  X(kHeuristicsFallback, CUDNN_HEUR_MODE_FALLBACK, 2)                        \
  X(kHeuristicsA, CUDNN_HEUR_MODE_A, 3)                                      \
  X(kPointwise, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, 0)                       \
  X(kConvolution, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, 1)                   \
  X(kEngineConfig, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, 3)                    \
  X(kHeuristics, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, 4)                     \
  X(kPlan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, 5)                       \
  X(kForward, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, 10)    \
  X(kWeightGradient,                                                         \
    CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, 11)      \
  X(kDataGradient,                                                           \
    CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, 12)        \
  X(kPointwiseOperation, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, 13)   \
  X(kOperationGraph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, 15)            \
  X(kVariantPack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, 16)                 \
  X(kTensor, CUDNN_BACKEND_TENSOR_DESCRIPTOR, 17)                            \
  X(kDeviceProperties, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, 38)              \
  X(kOfHandle, CUDNN_TYPE_HANDLE, 0)                                         \
  X(kOfDataType, CUDNN_TYPE_DATA_TYPE, 1)                                    \
  X(kOfBoolean, CUDNN_TYPE_BOOLEAN, 2)                                       \
  X(kOfInt64, CUDNN_TYPE_INT64, 3)                                           \
  X(kOfFloat, CUDNN_TYPE_FLOAT, 4)                                           \
  X(kOfPointer, CUDNN_TYPE_VOID_PTR, 6)                                      \
  X(kOfConvolutionMode, CUDNN_TYPE_CONVOLUTION_MODE, 7)                      \
  X(kOfHeuristicsMode, CUDNN_TYPE_HEUR_MODE, 8)                              \
  X(kOfPointwiseMode, CUDNN_TYPE_POINTWISE_MODE, 14)                         \
  X(kOfDescriptor, CUDNN_TYPE_BACKEND_DESCRIPTOR, 15)                        \
  X(kOfChar, CUDNN_TYPE_CHAR, 24)                                            \
  X(kPointwiseMode, CUDNN_ATTR_POINTWISE_MODE, 0)                            \
  X(kPointwisePrecision, CUDNN_ATTR_POINTWISE_MATH_PREC, 1)                  \
  X(kConvComputeType, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, 100)                 \
  X(kConvMode, CUDNN_ATTR_CONVOLUTION_CONV_MODE, 101)                        \
  X(kConvDilations, CUDNN_ATTR_CONVOLUTION_DILATIONS, 102)                   \
  X(kConvStrides, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, 103)                \
  X(kConvPostPaddings, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, 104)            \
  X(kConvPrePaddings, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, 105)              \
  X(kConvSpatialDims, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 106)              \
  X(kHeuristicsMode, CUDNN_ATTR_ENGINEHEUR_MODE, 200)                        \
  X(kHeuristicsGraph, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, 201)            \
  X(kHeuristicsResults, CUDNN_ATTR_ENGINEHEUR_RESULTS, 202)                  \
  X(kHeuristicsDevice, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, 204)                \
  X(kPlanHandle, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, 400)                      \
  X(kPlanConfig, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 401)               \
  X(kPlanWorkspace, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 402)           \
  X(kPlanJson, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, 405)           \
  X(kPlanDevice, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, 407)                  \
  X(kForwardAlpha, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 700)      \
  X(kForwardBeta, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 701)        \
  X(kForwardConv, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, 702)   \
  X(kForwardW, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, 703)              \
  X(kForwardX, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, 704)              \
  X(kForwardY, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, 705)              \
  X(kDataAlpha, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 706)        \
  X(kDataBeta, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 707)          \
  X(kDataConv, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, 708)     \
  X(kDataW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, 709)                \
  X(kDataDx, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, 710)              \
  X(kDataDy, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, 711)              \
  X(kFilterAlpha, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, 712)    \
  X(kFilterBeta, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, 713)      \
  X(kFilterConv, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, 714) \
  X(kFilterDw, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, 715)          \
  X(kFilterX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, 716)            \
  X(kFilterDy, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, 717)          \
  X(kPointwiseDescriptor, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, 750) \
  X(kPointwiseX, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, 751)                  \
  X(kPointwiseB, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, 752)                  \
  X(kPointwiseY, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, 753)                  \
  X(kGraphHandle, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, 800)                     \
  X(kGraphOperations, CUDNN_ATTR_OPERATIONGRAPH_OPS, 801)                    \
  X(kTensorAlignment, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 900)                 \
  X(kTensorType, CUDNN_ATTR_TENSOR_DATA_TYPE, 901)                           \
  X(kTensorDimensions, CUDNN_ATTR_TENSOR_DIMENSIONS, 902)                    \
  X(kTensorStrides, CUDNN_ATTR_TENSOR_STRIDES, 903)                          \
  X(kTensorId, CUDNN_ATTR_TENSOR_UNIQUE_ID, 906)                             \
  X(kTensorVirtual, CUDNN_ATTR_TENSOR_IS_VIRTUAL, 907)                       \
  X(kTensorByValue, CUDNN_ATTR_TENSOR_IS_BY_VALUE, 908)                      \
  X(kPackIds, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, 1000)                      \
  X(kPackPointers, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, 1001)              \
  X(kPackWorkspace, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, 1003)                 \
  X(kDeviceJson, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, 2702)

#define P3D_NUMBER(ours, theirs, number) constexpr int ours = number;
P3D_CUDNN_NUMBERS(P3D_NUMBER)
#undef P3D_NUMBER

using Status = int;
using Handle = void*;
using RawDescriptor = void*;

// X(function, its type)
#define P3D_CUDNN_FUNCTIONS(X)                                 \
  X(cudnnGetVersion, size_t())                                 \
  X(cudnnGetCudartVersion, size_t())                           \
  X(cudnnGetErrorString, const char*(Status))                  \
  X(cudnnGetLastErrorString, void(char*, size_t))              \
  X(cudnnCreate, Status(Handle*))                              \
  X(cudnnSetStream, Status(Handle, CUstream_st*))              \
  X(cudnnBackendCreateDescriptor, Status(int, RawDescriptor*)) \
  X(cudnnBackendDestroyDescriptor, Status(RawDescriptor))      \
  X(cudnnBackendFinalize, Status(RawDescriptor))               \
  X(cudnnBackendSetAttribute,                                  \
    Status(RawDescriptor, int, int, int64_t, const void*))     \
  X(cudnnBackendGetAttribute,                                  \
    Status(const void*, int, int, int64_t, int64_t*, void*))   \
  X(cudnnBackendExecute, Status(Handle, RawDescriptor, RawDescriptor))

}  // namespace cudnn
}  // namespace p3d

#endif  // P3D_KERNELS_CUDNN_API_HPP_
