#include "kernels/conv/conv_panels.hpp"

#include "kernels/conv/tap_copy-inl.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// Puts taps k of four channels, from[c * taps + k], side by side at
// to + places[k] * step, for all places >= 0. taps >= 2; with fewer than 4
// there are 4 places and it reads 4 - taps values beyond the last.
void TurnTaps4(const float* from, int64_t taps, const int64_t* places,
               int64_t step, float* to) {
  for (int64_t k = 0; k < taps; k += 4) {
    // The last four overlap the ones before.
    const int64_t first = taps < 4 ? 0 : std::min(k, taps - 4);
    Float4 v[4];
    for (int c = 0; c < 4; ++c) v[c] = Load4<Float4>(from + c * taps + first);
    Transpose4(v);
    for (int j = 0; j < 4; ++j) {
      const int64_t place = places[first + j];
      if (place >= 0) std::memcpy(to + place * step, &v[j], sizeof(v[j]));
    }
  }
}

}  // namespace

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

// Four outputs of a panel and four of their weights at a time; a cache line of
// each output's weights is used up before the next outputs'.
void WeightPanels::PackPanel(const float* weights, int64_t panel,
                             float* packed) const {
  const int64_t width = Width(panel), pitch = Pitch(panel);
  constexpr int64_t kStep = 16;
  int64_t tap = 0, channel = 0;
  for (int64_t start = 0; start < depth(); start += kStep) {
    const int64_t count = std::min(kStep, depth() - start);
    float* rows[kStep];
    for (int64_t d = 0; d < count; ++d) {
      rows[d] = packed + (tap * inputs_ + channel) * pitch;
      if (++tap == taps_) tap = 0, ++channel;
      std::fill(rows[d] + width, rows[d] + pitch, 0.f);
    }
    for (int64_t j = 0; j < width; j += 4) {
      const float* from = weights + j * depth() + start;
      int64_t d = 0;
      for (; j + 4 <= width && d + 4 <= count; d += 4) {
        Float4 v[4];
        for (int i = 0; i < 4; ++i) {
          v[i] = Load4<Float4>(from + i * depth() + d);
        }
        Transpose4(v);
        for (int i = 0; i < 4; ++i) {
          std::memcpy(rows[d + i] + j, &v[i], sizeof(v[i]));
        }
      }
      for (; d < count; ++d) {
        for (int64_t i = 0; i < std::min<int64_t>(4, width - j); ++i) {
          rows[d][j + i] = from[i * depth() + d];
        }
      }
    }
  }
}

void WeightPanels::Pack(const float* weights, float* packed) const {
  ParallelFor(groups_ * panels_, [&](int64_t task) {
    const int64_t group = task / panels_, panel = task % panels_;
    const int64_t output = group * outputs_ + First(panel);
    PackPanel(weights + output * depth(), panel, packed + Offset(group, panel));
  });
}

// All of an input's weights for a panel. There are more weights behind them
// unless they are the last.
void WeightPanels::MirrorRow(const float* from, const Mirror& mirror,
                             int64_t panel, bool last, float* to) const {
  const int64_t width = Width(panel), pitch = Pitch(panel);
  const int64_t all_taps = mirror.all_taps, step = inputs_ * pitch;
  // The next panel's.
  for (int64_t k = 0; k < all_taps; ++k) {
    __builtin_prefetch(from + width * all_taps + k * 16);
  }
  int64_t j = 0;
  if (all_taps == 1) {
    CopyRun(from, width, to);
    j = width;
  }
  const int64_t end = last ? width - 1 : width;
  for (; j + 4 <= end; j += 4) {
    TurnTaps4(from + j * all_taps, all_taps, mirror.places, step, to + j);
  }
  for (int64_t tap = 0; tap < taps_; ++tap) {
    float* line = to + tap * step;
    for (int64_t c = j; c < width; ++c) {
      line[c] = from[c * all_taps + mirror.taps[tap]];
    }
    std::fill(line + width, line + pitch, 0.f);
  }
}

// Few inputs at a time, so that lines are read and written as wholes.
void WeightPanels::PackMirrored(const float* weights,
                                const std::vector<int64_t>& taps,
                                int64_t all_taps, float* packed) const {
  std::vector<int64_t> places(std::max<int64_t>(all_taps, 4), -1);
  for (int64_t tap = 0; tap < taps_; ++tap) places[taps[tap]] = tap;
  const Mirror mirror = {taps.data(), places.data(), all_taps};
  const int64_t row = outputs_ * all_taps;
  const int64_t step = 8;
  ParallelRanges(groups_ * inputs_, step, [&](int64_t begin, int64_t end) {
    for (int64_t panel = 0; panel < panels_; ++panel) {
      for (int64_t i = begin; i < end; ++i) {
        const bool last = i + 1 == groups_ * inputs_ && panel + 1 == panels_;
        MirrorRow(
            weights + i * row + First(panel) * all_taps, mirror, panel, last,
            packed + Offset(i / inputs_, panel) + i % inputs_ * Pitch(panel));
      }
    }
  });
}

void WeightPanels::Unpack(const float* packed, float* weights) const {
  ParallelFor(groups_ * panels_, [&](int64_t task) {
    const int64_t group = task / panels_, panel = task % panels_;
    const float* from = packed + Offset(group, panel);
    float* to = weights + (group * outputs_ + First(panel)) * depth();
    // Few channels at a time, so that the lines of all outputs stay in L1.
    const int64_t step = 8;
    for (int64_t start = 0; start < inputs_; start += step) {
      const int64_t end = std::min(start + step, inputs_);
      for (int64_t tap = 0; tap < taps_; ++tap) {
        for (int64_t c = start; c < end; ++c) {
          const float* row = from + (tap * inputs_ + c) * Pitch(panel);
          for (int64_t j = 0; j < Width(panel); ++j) {
            to[j * depth() + c * taps_ + tap] = row[j];
          }
        }
      }
    }
  });
}

}  // namespace p3d
