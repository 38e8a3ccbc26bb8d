#ifndef CAFFE_UTIL_P3D_ERROR_HPP_
#define CAFFE_UTIL_P3D_ERROR_HPP_

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"
#include "kernels/error.hpp"

namespace caffe {

/// Runs action(). What a kernel throws ends the program as a failed CHECK does,
/// with the layer's type and name in front.
template <typename Action>
void OrFatal(const LayerParameter& layer, const Action& action) {
  try {
    action();
  } catch (const p3d::Error& error) {
    LOG(FATAL) << layer.type() << " '" << layer.name() << "': " << error.what();
  }
}

}  // namespace caffe

#endif  // CAFFE_UTIL_P3D_ERROR_HPP_
