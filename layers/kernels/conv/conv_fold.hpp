#ifndef P3D_KERNELS_CONV_FOLD_HPP_
#define P3D_KERNELS_CONV_FOLD_HPP_

#include "kernels/conv/conv.hpp"

namespace p3d {

// The same convolution of the same memory in Caffe's order with fewer axes, but
// at least two, because libraries are best at those: neighbouring axes become
// one where no tap reaches from one row of the inner axis into the next. With
// axes (l, h, w):
//
//   3x1x1               -> (l, h w), kernel 3x1
//   1x1x1               -> (l, h w), kernel 1x1
//   1x1x1, stride 1,2,2 -> (l h, w), stride 2,2, if h is even
//
// 1xkxk stays as it is: in (n, c, l, h, w) the images of one clip are not l of
// a batch's n, since c lies between them.
ConvShape FoldAxes(ConvShape shape);

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_FOLD_HPP_
