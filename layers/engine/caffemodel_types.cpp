// The layer types of the two older file formats.

#include "engine/caffemodel_index.hpp"

namespace p3d {
namespace {

struct LegacyType {
  const char* type;
  int v1;
  const char* v0;  // null where V0 had no such layer
};

const LegacyType kLegacyTypes[] = {
    {"AbsVal", 35, nullptr},
    {"Accuracy", 1, "accuracy"},
    {"ArgMax", 30, nullptr},
    {"BNLL", 2, "bnll"},
    {"Concat", 3, "concat"},
    {"ContrastiveLoss", 37, nullptr},
    {"Convolution", 4, "conv"},
    {"Data", 5, "data"},
    {"Deconvolution", 39, nullptr},
    {"Dropout", 6, "dropout"},
    {"DummyData", 32, nullptr},
    {"Eltwise", 25, nullptr},
    {"EuclideanLoss", 7, "euclidean_loss"},
    {"Exp", 38, nullptr},
    {"Flatten", 8, "flatten"},
    {"HDF5Data", 9, "hdf5_data"},
    {"HDF5Output", 10, "hdf5_output"},
    {"HingeLoss", 28, nullptr},
    {"Im2col", 11, "im2col"},
    {"ImageData", 12, "images"},
    {"InfogainLoss", 13, "infogain_loss"},
    {"InnerProduct", 14, "innerproduct"},
    {"LRN", 15, "lrn"},
    {"MVN", 34, nullptr},
    {"MemoryData", 29, nullptr},
    {"MultinomialLogisticLoss", 16, "multinomial_logistic_loss"},
    {"Pooling", 17, "pool"},
    {"Power", 26, nullptr},
    {"ReLU", 18, "relu"},
    {"Sigmoid", 19, "sigmoid"},
    {"SigmoidCrossEntropyLoss", 27, nullptr},
    {"Silence", 36, nullptr},
    {"Slice", 33, nullptr},
    {"Softmax", 20, "softmax"},
    {"SoftmaxWithLoss", 21, "softmax_loss"},
    {"Split", 22, "split"},
    {"TanH", 23, "tanh"},
    {"Threshold", 31, nullptr},
    {"WindowData", 24, "window_data"},
};

}  // namespace

std::string TypeOfV1(uint64_t type) {
  for (const LegacyType& entry : kLegacyTypes) {
    if (static_cast<uint64_t>(entry.v1) == type) return entry.type;
  }
  return "";
}

std::string TypeOfV0(const std::string& type) {
  for (const LegacyType& entry : kLegacyTypes) {
    if (entry.v0 != nullptr && type == entry.v0) return entry.type;
  }
  return type;
}

}  // namespace p3d
