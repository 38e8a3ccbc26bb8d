#include "kernels/conv/conv_bf16_amx_loops.hpp"

#include <algorithm>

#include "kernels/conv/conv_prefetch.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

const int64_t kSums = kAmxTile * kAmxTile;
// How far behind a tile's first pixel that one is whose lines are fetched.
const int64_t kAhead = 2 * kAmxTile;
// Rows of a panel that leave L1 some room.
const int64_t kPartWords = 256;
// Words of weights that do so, too, and of copied pixels that fit L2.
const int64_t kNearWords = 8 << 10;
const int64_t kCopiedWords = 128 << 10;
const int64_t kLongRow = 8 << 10;
// More chunks that have to be filled up would take megabytes.
const int64_t kMostFilled = 1 << 10;

// A step of a plan, 16 pixels times a row of a panel, is two cycles; of a task,
// a tile's, four.
LoopCosts CostsOf(const WeightPanels& panels) {
  LoopCosts costs;
  costs.plan.tile_pixels = costs.plan.min_pixels = kAmxRows;
  costs.plan.passes = panels.groups() * panels.panels();
  costs.plan.tile_steps = 400;
  costs.plan.copy_steps = 2;
  costs.plan.gather_steps = 4;
  costs.rows = kAmxTile;
  costs.whole = true;
  costs.tile_steps = 25;
  costs.task_steps = 300;
  costs.bytes_per_step = 30;
  costs.block_bytes = 600e3;
  costs.least_tiles = 6;
  costs.next_words = 8 << 10;
  return costs;
}

int64_t CommonDivisor(int64_t a, int64_t b) {
  return b == 0 ? a : CommonDivisor(b, a % b);
}

}  // namespace

template <typename Value>
constexpr int64_t AmxLoops<Value>::kVector;
template <typename Value>
constexpr int64_t AmxLoops<Value>::kVectors;

template <typename Value>
std::unique_ptr<const AmxLoops<Value>> AmxLoops<Value>::Create(
    const ConvShape& shape, const WeightPanels& panels,
    const AmxKernels& kernels) {
  if (Base::IsAbsurd(shape)) return nullptr;
  std::unique_ptr<const AmxLoops> loops(new AmxLoops(shape, panels, kernels));
  const bool can = !loops->Base::IsAbsurd() && loops->filled_ <= kMostFilled;
  return can ? std::move(loops) : nullptr;
}

template <typename Value>
AmxLoops<Value>::AmxLoops(const ConvShape& shape, const WeightPanels& panels,
                          const AmxKernels& kernels)
    : Base(shape, panels, CostsOf(panels)),
      kernels_(kernels),
      words_(ChooseWords()) {
  for (const PixelClass& box : this->plan().classes()) {
    chunks_.push_back(Cut(box));
    Chunks& chunks = chunks_.back();
    chunks.first = all_chunks_;
    all_chunks_ += chunks.count();
    longest_ = std::max(longest_, chunks.count());
    pitch_ = std::max(pitch_, chunks.pitch);
    for (int64_t words : chunks.words) filled_ += words < words_;
  }
  part_ = CeilDiv(longest_, CeilDiv(longest_ * words_, kPartWords));
}

// All runs are whole chunks where these can be large enough.
template <typename Value>
int64_t AmxLoops<Value>::ChooseWords() const {
  int64_t common = 0;
  for (const PixelClass& box : this->plan().classes()) {
    for (const TapRun& run : box.runs) {
      common = CommonDivisor(run.length, common);
    }
  }
  for (int64_t words = kAmxWords; words > kAmxWords / 2; --words) {
    if (common % words == 0) return words;
  }
  return kAmxWords;
}

// Runs that multiply neighbouring rows of weights are one stretch of a copied
// row. A stretch is cut into chunks, its last one filled up.
template <typename Value>
typename AmxLoops<Value>::Chunks AmxLoops<Value>::Cut(
    const PixelClass& box) const {
  Chunks result;
  bool whole = true;
  for (size_t i = 0; i < box.runs.size();) {
    const int64_t row = box.runs[i].row;
    int64_t length = 0;
    for (; i < box.runs.size() && box.runs[i].row == row + length; ++i) {
      const TapRun& run = box.runs[i];
      result.pieces.push_back({run.x, result.pitch + length, run.length});
      for (int64_t at = 0; at < run.length; at += words_) {
        result.places.push_back(run.x + at);
      }
      length += run.length;
      whole = whole && run.length % words_ == 0;
    }
    if (length % words_ > 0) {
      result.pieces.push_back({0, result.pitch + length, 0});
    }
    for (int64_t at = 0; at < length; at += words_) {
      result.rows.push_back(row + at);
      result.words.push_back(std::min(length - at, words_));
      result.copies.push_back(result.pitch);
      result.pitch += words_;
    }
  }
  if (!whole) result.places.clear();
  return result;
}

// Writes where all chunks' weights are: in the panel, or in a copy that is
// filled up with zeros. Returns the end of what it wrote.
template <typename Value>
const float** AmxLoops<Value>::LocateWeights(const float* panel, int64_t pitch,
                                             float** filled,
                                             const float** weights) const {
  for (const Chunks& chunks : chunks_) {
    for (int64_t i = 0; i < chunks.count(); ++i, ++weights) {
      *weights = panel + chunks.rows[i] * pitch;
      if (chunks.words[i] == words_) continue;
      const int64_t size = chunks.words[i] * pitch;
      std::copy_n(*weights, size, *filled);
      std::fill(*filled + size, *filled + words_ * pitch, 0.f);
      *weights = *filled;
      *filled += words_ * pitch;
    }
  }
  return weights;
}

// A register's rows, as they lie.
template <typename Value>
bool AmxLoops<Value>::AreEquallyFar(const int64_t* places, int64_t rows,
                                    int64_t box) const {
  if (rows < kAmxRows || chunks_[box].places.empty()) return false;
  const int64_t step = places[1] - places[0];
  for (int64_t r = 2; r < rows; ++r) {
    if (places[r] - places[r - 1] != step) return false;
  }
  return true;
}

// Writes two registers of pixels for each tile.
template <typename Value>
void AmxLoops<Value>::LocatePixels(const Block& block, const Group& group,
                                   const float* x, float* copies,
                                   AmxRows* pixels) const {
  for (int64_t i = 0; i < group.tiles; ++i) {
    const auto& tile = block.tile[group.first + i];
    const Chunks& chunks = chunks_[tile.box];
    for (int64_t first = 0; first < tile.rows; first += kAmxRows) {
      const int64_t rows = std::min(kAmxRows, tile.rows - first);
      const int64_t* const places = block.x_places + tile.first + first;
      AmxRows& to = pixels[2 * i + first / kAmxRows];
      if (AreEquallyFar(places, rows, tile.box)) {
        to = {x + places[0], chunks.places.data(), places[1] - places[0]};
        continue;
      }
      kernels_.gather(x, places, rows, chunks.pieces.data(),
                      chunks.pieces.size(), copies, chunks.pitch);
      to = {copies, chunks.copies.data(), chunks.pitch};
      copies += kAmxRows * chunks.pitch;
    }
  }
}

// Of a group, such that what is copied for it fits L2 and yet weights are used
// more than once.
template <typename Value>
int64_t AmxLoops<Value>::MostTiles() const {
  const int64_t least = pitch_ <= kLongRow ? 4 : 1;
  return std::max(least, kCopiedWords / (kAmxTile * pitch_ + 1));
}

// What groups of so many tiles need at most, with what a last row may write
// behind it.
template <typename Value>
int64_t AmxLoops<Value>::CopiedWords(const Block& block, int64_t tiles) const {
  int64_t most = 0, words = 0;
  for (int64_t i = 0; i < block.tiles; ++i) {
    if (i % tiles == 0) words = 0;
    const auto& tile = block.tile[i];
    words += RoundUp(tile.rows, kAmxRows) * chunks_[tile.box].pitch;
    most = std::max(most, words);
  }
  return most + kAmxWords;
}

// What a task works with.
template <typename Value>
struct AmxLoops<Value>::Work {
  const float* const* weights;  // of each panel, its chunks'
  const float* const* panel;    // of the one in hand
  AmxRows* pixels;
  float* copies;
  float* sums;             // of a group's tiles
  int64_t first_tile = 0;  // of the group in hand
  // Sums whose y is to be written, or null, and those that are not.
  AmxSumsOf<Value>* complete = nullptr;
  AmxSumsOf<Value> both[2];
  AmxSumsOf<Value>* NextSums() { return both + (complete == both); }
};

// Tiles whose weights stay in L1 go through all panels one by one.
template <typename Value>
void AmxLoops<Value>::RunBlock(const Block& block, const Task& task,
                               const Buffers& buffers) const {
  const WeightPanels& panels = this->panels();
  const int64_t count = task.end_panel - task.first_panel;
  const bool near = count * panels.Size(0) <= kNearWords;
  const int64_t tiles = near ? 1 : std::min(MostTiles(), block.tiles);

  const Scratch<const float*> weights(count * all_chunks_);
  const Scratch<float> filled(count * filled_ * words_ * kVector * kVectors);
  const float** weights_end = weights.data();
  float* filled_end = filled.data();
  for (int64_t panel = task.first_panel; panel < task.end_panel; ++panel) {
    weights_end =
        LocateWeights(buffers.packed + panels.Offset(task.group, panel),
                      panels.Pitch(panel), &filled_end, weights_end);
  }
  const Scratch<AmxRows> pixels(2 * tiles);
  const Scratch<float> copies(CopiedWords(block, tiles));
  const Scratch<float> sums(tiles * kSums);
  Work work;
  work.weights = weights.data();
  work.pixels = pixels.data();
  work.copies = copies.data();
  work.sums = sums.data();
  kernels_.begin(words_);
  for (int64_t first = 0; first < block.tiles; first += tiles) {
    const Group group = {first, std::min(tiles, block.tiles - first)};
    work.first_tile = first;
    LocatePixels(block, group, buffers.x + task.group * panels.inputs(),
                 work.copies, work.pixels);
    RunGroup(block, group, task, buffers, &work);
  }
  if (work.complete) kernels_.To<Value>().end(*work.complete);
  kernels_.end();
}

// Where sums have many chunks, all tiles do a part of them before the next
// part, so that its weights stay in L1.
template <typename Value>
void AmxLoops<Value>::RunGroup(const Block& block, const Group& group,
                               const Task& task, const Buffers& buffers,
                               Work* work) const {
  const int64_t part = group.tiles == 1 ? longest_ : part_;
  int64_t portions = 0;
  for (int64_t i = 0; i < group.tiles; ++i) {
    portions += chunks_[block.tile[group.first + i].box].count();
  }
  // The next tile alone finds its weights in L1.
  const bool far = group.tiles > 1 || group.first + 1 == block.tiles;
  for (int64_t panel = task.first_panel; panel < task.end_panel; ++panel) {
    work->panel = work->weights + (panel - task.first_panel) * all_chunks_;
    AmxProduct product = {};
    product.pitch = this->panels().Pitch(panel);
    const NextWeights next = this->Next(buffers, task, panel);
    PrefetchStream stream;
    if (far) stream = PrefetchStream(next.packed, next.size, portions);
    for (int64_t chunk = 0; chunk < longest_; chunk += part) {
      for (int64_t i = 0; i < group.tiles; ++i) {
        const int64_t end = std::min(
            chunk + part, chunks_[block.tile[group.first + i].box].count());
        if (chunk > 0 && chunk >= end) continue;
        product.begin = chunk;
        product.end = end;
        stream.Feed(end - chunk, &product);
        AmxSumsOf<Value>* const sums = work->NextSums();
        this->Begin(buffers, task.group, panel, sums);
        RunTile(block, group.first + i, &product, sums, work);
      }
    }
  }
}

// The rest of `product` and `sums` is the panel's.
template <typename Value>
void AmxLoops<Value>::RunTile(const Block& block, int64_t index,
                              AmxProduct* product, AmxSumsOf<Value>* sums,
                              Work* work) const {
  const auto& tile = block.tile[index];
  const Chunks& chunks = chunks_[tile.box];
  const int64_t i = index - work->first_tile;
  product->pixels[0] = work->pixels[2 * i];
  product->pixels[1] = work->pixels[2 * i + 1];
  product->weights = work->panel + chunks.first;
  sums->rows = tile.rows;
  sums->sums = work->sums + i * kSums;
  sums->y_places = block.y_places + tile.first;
  const int64_t next = tile.first + kAhead;
  sums->next_places = block.y_places + next;
  sums->next_rows = std::min(kAmxTile, block.pixels - next);
  kernels_.To<Value>().multiply(*product, *sums, work->complete);
  work->complete = product->end == chunks.count() ? sums : nullptr;
}

template class AmxLoops<float>;
template class AmxLoops<Bf16>;

}  // namespace p3d
