#include "kernels/tvl1.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "_core/bind.hpp"
#include "kernels/error.hpp"

namespace py = pybind11;

namespace {

using p3d::Tvl1Level;
using Images = py::array_t<float, py::array::c_style>;

std::unique_ptr<Tvl1Level> Make(int64_t height, int64_t width) {
  const int64_t most = 1 << 20;
  p3d::Check(height > 0 && width > 0 && height <= most && width <= most,
             "flow is of images of 1 to ", most,
             " pixels along each side, not ", height, " x ", width);
  return std::unique_ptr<Tvl1Level>(new Tvl1Level(height, width));
}

py::array Flow(const py::object& self) {
  auto& level = self.cast<Tvl1Level&>();
  const auto bytes = [](int64_t values) {
    return static_cast<py::ssize_t>(values * sizeof(float));
  };
  return py::array_t<float>({int64_t{2}, level.height(), level.width()},
                            {bytes(level.flow(1) - level.flow(0)),
                             bytes(level.row_stride()), bytes(1)},
                            level.flow(0), self);
}

void Warp(Tvl1Level& level, const Images& first, const Images& warped) {
  const int64_t height = level.height(), width = level.width();
  p3d::Check(
      first.ndim() == 2 && first.shape(0) == height && first.shape(1) == width,
      "first has to be of the level's size");
  p3d::Check(warped.ndim() == 3 && warped.shape(0) == height &&
                 warped.shape(1) == width && warped.shape(2) == 3,
             "warped has to be 3 values for each pixel of the level");
  const py::gil_scoped_release others;
  level.Warp(first.data(), warped.data());
}

void Smooth(Tvl1Level& level, int side) {
  p3d::Check(side == 3 || side == 5, "medians are of 3 x 3 or 5 x 5 pixels");
  const py::gil_scoped_release others;
  level.Smooth(side);
}

double Iterate(Tvl1Level& level, float tau, float lambda, float theta,
               int64_t iterations, double enough) {
  const py::gil_scoped_release others;
  return level.Iterate({tau, lambda, theta}, iterations, enough);
}

}  // namespace

void BindTvl1(py::module_& m) {
  py::class_<Tvl1Level>(m, "Tvl1Level",
                        "TV-L1 flow at one level of a pyramid, see "
                        "layers/kernels/tvl1.hpp. For one thread at a time.")
      .def(py::init(&Make), py::arg("height"), py::arg("width"))
      .def_property_readonly(
          "flow", &Flow,
          "float32 (2, h, w), writable: the flow along x and y of this moment, "
          "not what it is after smooth and iterate.")
      .def("warp", &Warp, py::arg("first").noconvert(),
           py::arg("warped").noconvert(),
           "Iterations go on from here, with the flow as it is: the first "
           "image (h, w); the second one and its gradient along x and y (h, w, "
           "3) at places moved by the flow.")
      .def("smooth", &Smooth, py::arg("side"),
           "The flow becomes its median over side x side pixels, 3 or 5.")
      .def("iterate", &Iterate, py::arg("tau"), py::arg("lambda_"),
           py::arg("theta"), py::arg("iterations"), py::arg("enough"),
           "As long as the sum of squares of what the last iteration changed "
           "is more than `enough`; returns it.");
}
