#include "kernels/conv_panels.hpp"

#include "kernels/thread_pool.hpp"

namespace p3d {

WeightPanels::WeightPanels(int64_t groups, int64_t inputs, int64_t outputs,
                           int64_t taps, int64_t vector, int64_t vectors)
    : groups_(groups),
      inputs_(inputs),
      outputs_(outputs),
      taps_(taps),
      vector_(vector),
      widest_(vector * vectors),
      panels_((outputs + widest_ - 1) / widest_),
      group_size_(First(panels_ - 1) * depth() + Size(panels_ - 1)) {}

uint64_t WeightPanels::key() const {
  uint64_t key = 14695981039346656037u;
  for (int64_t part : {vector_, widest_, groups_, inputs_, outputs_, taps_}) {
    key = (key ^ static_cast<uint64_t>(part)) * 1099511628211u;
  }
  return key;
}

// Calls move(weights' offset, packed offset, width, pitch) for every row of
// every panel: `width` weights, depth() apart, that become neighbours.
template <typename Move>
void WeightPanels::ForEachRow(const Move& move) const {
  ParallelFor(groups_ * panels_, [&](int64_t task) {
    const int64_t group = task / panels_, panel = task % panels_;
    const int64_t from = (group * outputs_ + First(panel)) * depth();
    const int64_t to = Offset(group, panel);
    const int64_t width = Width(panel), pitch = Pitch(panel);
    // Few channels at a time, so that the lines of all outputs stay in L1.
    const int64_t step = 8;
    for (int64_t start = 0; start < inputs_; start += step) {
      const int64_t end = std::min(start + step, inputs_);
      for (int64_t tap = 0; tap < taps_; ++tap) {
        for (int64_t c = start; c < end; ++c) {
          move(from + c * taps_ + tap, to + (tap * inputs_ + c) * pitch, width,
               pitch);
        }
      }
    }
  });
}

void WeightPanels::Pack(const float* weights, float* packed) const {
  ForEachRow([=](int64_t from, int64_t to, int64_t width, int64_t pitch) {
    for (int64_t j = 0; j < width; ++j) {
      packed[to + j] = weights[from + j * depth()];
    }
    std::fill(packed + to + width, packed + to + pitch, 0.f);
  });
}

void WeightPanels::PackMirrored(const float* weights,
                                const std::vector<int64_t>& taps,
                                int64_t all_taps, float* packed) const {
  const int64_t step = 16;  // inputs of a task
  const int64_t chunks = (inputs_ + step - 1) / step;
  ParallelFor(groups_ * panels_ * chunks, [&](int64_t task) {
    const int64_t first = task % chunks * step;
    const int64_t panel = task / chunks % panels_;
    const int64_t group = task / chunks / panels_;
    const int64_t width = Width(panel), pitch = Pitch(panel);
    for (int64_t i = first; i < std::min(first + step, inputs_); ++i) {
      const int64_t row = (group * inputs_ + i) * outputs_ + First(panel);
      for (int64_t tap = 0; tap < taps_; ++tap) {
        const float* from = weights + row * all_taps + taps[tap];
        float* to = packed + Offset(group, panel) + (tap * inputs_ + i) * pitch;
        for (int64_t j = 0; j < width; ++j) to[j] = from[j * all_taps];
        std::fill(to + width, to + pitch, 0.f);
      }
    }
  });
}

void WeightPanels::Unpack(const float* packed, float* weights) const {
  ForEachRow([=](int64_t from, int64_t to, int64_t width, int64_t) {
    for (int64_t j = 0; j < width; ++j) {
      weights[from + j * depth()] = packed[to + j];
    }
  });
}

}  // namespace p3d
