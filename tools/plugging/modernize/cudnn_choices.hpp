// caffe-p3d: cuDNN >= 8 returns all algorithms, fastest first, instead of the
// fastest one that keeps within a limit of workspace bytes.
#if CUDNN_VERSION >= 8000
enum {
  CUDNN_CONVOLUTION_FWD_SPECIFY_WORKSPACE_LIMIT,
  CUDNN_CONVOLUTION_BWD_FILTER_SPECIFY_WORKSPACE_LIMIT,
  CUDNN_CONVOLUTION_BWD_DATA_SPECIFY_WORKSPACE_LIMIT
};

#define CAFFE_CUDNN_CHOICE(Pass, Algo, A, B, C, D)                        \
  inline cudnnStatus_t cudnnGetConvolution##Pass##Algorithm(              \
      cudnnHandle_t handle, A a, B b, C c, D d, int, size_t limit,        \
      cudnnConvolution##Algo##_t* algo) {                                 \
    const int kMost = 16;                                                 \
    cudnnConvolution##Algo##Perf_t found[kMost];                          \
    int count = 0;                                                        \
    const cudnnStatus_t status = cudnnGetConvolution##Pass##Algorithm_v7( \
        handle, a, b, c, d, kMost, &count, found);                        \
    if (status != CUDNN_STATUS_SUCCESS) return status;                    \
    for (int i = 0; i < count; ++i) {                                     \
      if (found[i].status == CUDNN_STATUS_SUCCESS &&                      \
          found[i].memory <= limit) {                                     \
        *algo = found[i].algo;                                            \
        return CUDNN_STATUS_SUCCESS;                                      \
      }                                                                   \
    }                                                                     \
    return CUDNN_STATUS_NOT_SUPPORTED;                                    \
  }

CAFFE_CUDNN_CHOICE(Forward, FwdAlgo, cudnnTensorDescriptor_t,
                   cudnnFilterDescriptor_t, cudnnConvolutionDescriptor_t,
                   cudnnTensorDescriptor_t)
CAFFE_CUDNN_CHOICE(BackwardFilter, BwdFilterAlgo, cudnnTensorDescriptor_t,
                   cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t,
                   cudnnFilterDescriptor_t)
CAFFE_CUDNN_CHOICE(BackwardData, BwdDataAlgo, cudnnFilterDescriptor_t,
                   cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t,
                   cudnnTensorDescriptor_t)
#undef CAFFE_CUDNN_CHOICE
#endif  // CUDNN_VERSION >= 8000
