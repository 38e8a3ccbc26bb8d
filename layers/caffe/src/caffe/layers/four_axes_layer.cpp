#include "caffe/layers/four_axes_layer.hpp"

#include <vector>

namespace caffe {

template <typename Dtype>
shared_ptr<Layer<Dtype> > CreateActivation(
    const LayerParameter& param,
    shared_ptr<Layer<Dtype> > (*upstream)(const LayerParameter&)) {
#ifdef USE_CUDNN
  return shared_ptr<Layer<Dtype> >(
      new FourAxesLayer<Dtype>(param, upstream(param)));
#else
  return upstream(param);
#endif
}

template shared_ptr<Layer<float> > CreateActivation(
    const LayerParameter&,
    shared_ptr<Layer<float> > (*)(const LayerParameter&));
template shared_ptr<Layer<double> > CreateActivation(
    const LayerParameter&,
    shared_ptr<Layer<double> > (*)(const LayerParameter&));

template <typename Dtype>
void FourAxesLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  // The inner layer would give the top the shape that it sees.
  top[0]->ReshapeLike(*bottom[0]);
  WrapperLayer<Dtype>::Reshape(bottom, top);
}

// Other layers may put other memory under a blob at any time, so views share it
// anew; a layer in place sees one view twice.
template <typename Dtype>
vector<Blob<Dtype>*> FourAxesLayer<Dtype>::Seen(
    const vector<Blob<Dtype>*>& blobs) {
  vector<Blob<Dtype>*> seen(blobs);
  for (int i = 0; i < blobs.size(); ++i) {
    Blob<Dtype>* blob = blobs[i];
    if (blob->num_axes() <= 4) continue;
    shared_ptr<Blob<Dtype> >& view = views_[blob];
    if (!view) view.reset(new Blob<Dtype>());
    view->Reshape(blob->shape(0), blob->shape(1), blob->count(2), 1);
    view->ShareData(*blob);
    view->ShareDiff(*blob);
    seen[i] = view.get();
  }
  return seen;
}

INSTANTIATE_CLASS(FourAxesLayer);

}  // namespace caffe
