#ifndef P3D_CORE_LAYER_HPP_
#define P3D_CORE_LAYER_HPP_

#include <memory>

#include "engine/net.hpp"

// One layer of a net, which it keeps alive.
template <typename Dtype>
struct LayerHandle {
  std::shared_ptr<p3d::Net<Dtype>> net;
  int index;

  p3d::Layer<Dtype>& layer() const { return *net->layers()[index]; }
};

#endif  // P3D_CORE_LAYER_HPP_
