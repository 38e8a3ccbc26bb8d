#include <pybind11/stl.h>

#include <cstring>

#include "_core/bind.hpp"
#include "engine/gpu.hpp"

namespace py = pybind11;

namespace {

using p3d::Gpu;

// The bytes of rank 0, of which all have as many.
py::bytes FromRank0(const std::string& own) {
  std::string bytes = own;
  {
    py::gil_scoped_release release;
    const p3d::GpuScratch<char> memory(static_cast<int64_t>(bytes.size()));
    Gpu().CopyToDevice(memory.data(), bytes.data(), bytes.size());
    Gpu().CopyFromRank0(Gpu().DeviceStream(),
                        static_cast<int64_t>(bytes.size()), memory.data());
    Gpu().CopyToHost(&bytes[0], memory.data(), bytes.size());
    Gpu().CheckRanks();
  }
  return bytes;
}

// Of every rank as many bytes as of this one.
std::vector<py::bytes> FromAllRanks(const std::string& own) {
  const size_t words = (own.size() + sizeof(double) - 1) / sizeof(double);
  const size_t bytes = words * sizeof(double);
  const size_t ranks = static_cast<size_t>(Gpu().RanksJoined());
  std::string all(ranks * bytes, '\0');
  {
    py::gil_scoped_release release;
    const int64_t count = static_cast<int64_t>(words);
    const p3d::GpuScratch<double> mine(count);
    const p3d::GpuScratch<double> every(static_cast<int64_t>(ranks) * count);
    Gpu().CopyToDevice(mine.data(), own.data(), own.size());
    Gpu().GatherFromRanks(Gpu().DeviceStream(), count, mine.data(),
                          every.data());
    Gpu().CopyToHost(&all[0], every.data(), all.size());
    Gpu().CheckRanks();
  }
  std::vector<py::bytes> result;
  for (size_t rank = 0; rank < ranks; ++rank) {
    result.emplace_back(all.data() + rank * bytes, own.size());
  }
  return result;
}

}  // namespace

void BindRanks(py::module_& m) {
  m.def(
      "load_nccl", [](const std::string& library) { Gpu().LoadNccl(library); },
      py::arg("library"), "Loads the library by which ranks reach each other.");
  m.def(
      "new_ranks_id", [] { return py::bytes(Gpu().NewRanksId()); },
      "What ranks have to know to find each other.");
  m.def(
      "join_ranks",
      [](const std::string& id, int rank, int count) {
        Gpu().JoinRanks(id, rank, count);
      },
      py::arg("id"), py::arg("rank"), py::arg("count"),
      py::call_guard<py::gil_scoped_release>(),
      "Makes this process one of several ranks; waits for all.");
  m.def(
      "abort_ranks",
      [](const std::string& reason) { Gpu().AbortRanks(reason); },
      py::arg("reason"), py::call_guard<py::gil_scoped_release>(),
      "Ends what waits for other ranks, with this error.");
  m.def(
      "check_ranks", [] { Gpu().CheckRanks(); },
      "Raises the error of abort_ranks.");
  m.def(
      "leave_ranks", [] { Gpu().LeaveRanks(); },
      py::call_guard<py::gil_scoped_release>(),
      "This process is on its own again.");
  m.def("from_rank0", &FromRank0, py::arg("own"), "The bytes of rank 0.");
  m.def("from_all_ranks", &FromAllRanks, py::arg("own"),
        "As many bytes of every rank, this one's among them.");
}
