#ifndef CAFFE_CONVOLUTION_BY_AXES_LAYER_HPP_
#define CAFFE_CONVOLUTION_BY_AXES_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/wrapper_layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "google/protobuf/message.h"

namespace caffe {

/// Whether a message has a field that is set and whose number is above `last`.
bool HasFieldsAbove(int last, const google::protobuf::Message& message);

/**
 * @brief A convolution whose parameters do not tell how many axes it has: it
 *        becomes a Convolution3DLayer or the layer that the factory would have
 *        made, once its first bottom is known.
 */
template <typename Dtype>
class ConvolutionByAxesLayer : public WrapperLayer<Dtype> {
 public:
  typedef shared_ptr<Layer<Dtype> > (*Creator)(const LayerParameter&);

  ConvolutionByAxesLayer(const LayerParameter& param, Creator upstream)
      : WrapperLayer<Dtype>(param), upstream_(upstream) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);

  virtual inline int MinBottomBlobs() const { return 1; }
  virtual inline int MinTopBlobs() const { return 1; }
  virtual inline bool EqualNumBottomTopBlobs() const { return true; }

 private:
  const Creator upstream_;
};

}  // namespace caffe

#endif  // CAFFE_CONVOLUTION_BY_AXES_LAYER_HPP_
