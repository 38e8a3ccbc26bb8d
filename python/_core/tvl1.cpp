#include "kernels/tvl1.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "_core/bind.hpp"
#include "kernels/error.hpp"

namespace py = pybind11;

namespace {

using Images = py::array_t<float, py::array::c_style>;

void CheckImages(const char* name, const Images& images, py::ssize_t count,
                 const Images& like) {
  p3d::Check(images.ndim() == 3 && images.shape(0) == count &&
                 images.shape(1) == like.shape(1) &&
                 images.shape(2) == like.shape(2),
             name, " has to be ", count, " images of the same size");
}

double Iterate(const Images& warped, Images& flow, Images& dual, float tau,
               float lambda, float theta, int64_t iterations, double enough) {
  p3d::Check(warped.ndim() == 3, "warped has to be 3 images");
  CheckImages("warped", warped, 3, warped);
  CheckImages("flow", flow, 2, warped);
  CheckImages("dual", dual, 4, warped);
  const int64_t height = warped.shape(1), width = warped.shape(2);
  const int64_t size = height * width;
  const float* from = warped.data();
  float* u = flow.mutable_data();
  float* p = dual.mutable_data();
  const py::gil_scoped_release others;
  return p3d::Tvl1Iterate({height, width, from, from + size, from + 2 * size, u,
                           u + size, p, p + size, p + 2 * size, p + 3 * size},
                          {tau, lambda, theta}, iterations, enough);
}

}  // namespace

void BindTvl1(py::module_& m) {
  m.def("tvl1_iterate", &Iterate, py::arg("warped").noconvert(),
        py::arg("flow").noconvert(), py::arg("dual").noconvert(),
        py::arg("tau"), py::arg("lambda_"), py::arg("theta"),
        py::arg("iterations"), py::arg("enough"),
        "Iterations of TV-L1 flow, see layers/kernels/tvl1.hpp: changes `flow` "
        "(2, h, w) and `dual` (4, h, w). `warped` (3, h, w) is the residual "
        "and the gradient in x and y.");
}
