#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <new>

#include "_core/bind.hpp"
#include "kernels/conv/conv_bf16.hpp"
#include "kernels/cpu/fma_peak.hpp"
#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/cuda/cuda_device.hpp"
#include "kernels/error.hpp"
#include "kernels/random.hpp"

namespace py = pybind11;

namespace {

// Raises a class of p3d.error.
void Raise(const char* name, const std::exception& error) {
  const py::object type = py::module_::import("p3d.error").attr(name);
  // Names of files need not be UTF-8.
  const py::object text =
      py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
          error.what(), static_cast<Py_ssize_t>(std::strlen(error.what())),
          "surrogateescape"));
  PyErr_SetObject(type.ptr(), text.ptr());
}

// p3d::Error becomes p3d.Error, a RuntimeError, and std::bad_alloc one of them.
void RegisterErrors() {
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const p3d::cuda::OutOfMemory& error) {
      Raise("OutOfMemory", error);
    } catch (const p3d::NoMemory& error) {
      Raise("NoMemory", error);
    } catch (const p3d::Error& error) {
      Raise("Error", error);
    } catch (const std::bad_alloc&) {
      Raise("NoMemory", p3d::NoMemory("out of memory"));
    }
  });
}

std::vector<std::string> IsaNames() {
  std::vector<std::string> names;
  for (p3d::Isa isa : p3d::SupportedIsas()) names.push_back(p3d::IsaName(isa));
  return names;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The embedded engine; p3d.caffe is its public face.";
  RegisterErrors();
  m.def("isa_names", &IsaNames,
        "Instruction sets that this machine runs, slowest first.");
  m.def(
      "isa", [] { return p3d::IsaName(p3d::ActiveIsa()); },
      "The instruction set in use.");
  m.def(
      "set_isa",
      [](const std::string& n) { p3d::SetActiveIsa(p3d::ParseIsa(n)); },
      py::arg("name"), "Use this set for nets made from now on.");
  m.def(
      "multiplies_bf16",
      [](const std::string& isa) {
        return p3d::MultipliesBf16(isa.empty() ? p3d::ActiveIsa()
                                               : p3d::ParseIsa(isa));
      },
      py::arg("isa") = "",
      "Whether the processor multiplies bfloat16, and the instruction set, by "
      "default isa(), lets it.");
  m.def(
      "fma_peak",
      [](double seconds) { return p3d::FmaPeak(p3d::ActiveIsa(), seconds); },
      py::arg("seconds") = 0.2, py::call_guard<py::gil_scoped_release>(),
      "GFLOP/s that all threads reach with multiply-adds on registers alone.");
  m.def("num_threads", &p3d::NumThreads);
  m.def("set_num_threads", &p3d::SetNumThreads, py::arg("threads"));
  BindGpu(m);
  BindRanks(m);
  BindCaffemodel(m);
  m.def("set_random_seed", &p3d::SetRandomSeed, py::arg("seed"),
        "Makes everything random from now on a function of the seed.");
  m.def("random_state", &p3d::RandomState,
        "What set_random_seed takes to repeat everything random from now on.");
  m.def("next_seed", &p3d::NextSeed,
        "The seed of the next thing that needs random numbers.");
  BindBlobs(m);
  BindLayers(m);
  BindNet(m);
  BindUpdater(m);
  BindTvl1(m);
  RegisterPythonLayers();
}
