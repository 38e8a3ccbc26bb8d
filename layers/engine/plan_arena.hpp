#ifndef P3D_ENGINE_PLAN_ARENA_HPP_
#define P3D_ENGINE_PLAN_ARENA_HPP_

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "engine/storage.hpp"
#include "engine/values.hpp"

namespace p3d {

// Finds places for storages in one piece of memory, such that two which are in
// use at the same step do not overlap: the largest first, each at the lowest
// place that is free while it lives.
class ArenaLayout {
 public:
  // Steps are counted from 0 and given in ascending order.
  void Use(Storage<float>* storage, int64_t count, int step) {
    const auto found = index_.find(storage);
    if (found == index_.end()) {
      index_[storage] = items_.size();
      items_.push_back({storage, RoundUp(count), step, step, -1, nullptr});
    } else {
      items_[found->second].last = step;
    }
  }

  // `heir`, made at `step`, may take the place of `storage`, which is read
  // there, if nobody reads that later.
  void Inherit(Storage<float>* heir, Storage<float>* storage, int step) {
    if (index_.count(heir) && index_.count(storage)) {
      wills_.push_back({index_[heir], index_[storage], step});
    }
  }

  // Returns the size of the memory in floats; places() are known from then on.
  int64_t Solve() {
    CarryOutWills();
    std::vector<Item*> order;
    for (Item& item : items_) {
      if (!item.owner) order.push_back(&item);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](Item* a, Item* b) { return a->count > b->count; });
    int64_t total = 0;
    std::vector<Item*> placed;  // by place
    for (Item* item : order) {
      item->place = LowestPlace(*item, placed);
      total = std::max(total, item->place + item->count);
      placed.insert(std::upper_bound(
                        placed.begin(), placed.end(), item,
                        [](Item* a, Item* b) { return a->place < b->place; }),
                    item);
    }
    return total;
  }

  std::vector<std::pair<Storage<float>*, int64_t>> places() const {
    std::vector<std::pair<Storage<float>*, int64_t>> places;
    for (const Item& item : items_) {
      places.emplace_back(item.storage,
                          (item.owner ? item.owner : &item)->place);
    }
    return places;
  }

 private:
  struct Item {
    Storage<float>* storage;
    int64_t count;
    int first, last;
    int64_t place;
    Item* owner;  // of the place, if that was inherited
  };
  struct Will {
    size_t heir, storage;  // items
    int step;
  };

  void CarryOutWills() {
    for (const Will& will : wills_) {
      Item& heir = items_[will.heir];
      Item& item = items_[will.storage];
      if (item.last != will.step || heir.first != will.step || heir.owner ||
          item.count != heir.count) {
        continue;
      }
      heir.owner = item.owner ? item.owner : &item;
      heir.owner->last = std::max(heir.owner->last, heir.last);
    }
  }

  // Each place begins a cache line, and two of them never share one, not even
  // of values of 16 bits.
  static int64_t RoundUp(int64_t count) { return (count + 31) / 32 * 32; }

  static int64_t LowestPlace(const Item& item,
                             const std::vector<Item*>& placed) {
    int64_t place = 0;
    for (const Item* other : placed) {
      if (other->last < item.first || item.last < other->first) continue;
      if (other->place >= place + item.count) break;
      place = std::max(place, other->place + other->count);
    }
    return place;
  }

  std::vector<Item> items_;
  std::vector<Will> wills_;  // by step
  std::map<Storage<float>*, size_t> index_;
};

// The memory of a layout, in the present mode: what layers write there are
// values of a kind, or floats in its place.
class PlanArena {
 public:
  PlanArena(ArenaLayout* layout, Precision kind)
      : kind_(kind),
        width_(BytesOf(kind)),
        buffer_(mode(), static_cast<size_t>(layout->Solve()) * width_),
        places_(layout->places()) {}

  // Whether it is what a plan that is made now, for values of `kind`, would
  // have.
  bool current(Precision kind) const {
    return side() == mode() && kind == kind_;
  }
  Side side() const { return buffer_.side(); }
  size_t gpu_bytes() const {
    return side() == Side::kGpu ? buffer_.bytes() : 0;
  }
  const std::vector<std::pair<Storage<float>*, int64_t>>& places() const {
    return places_;
  }

  // The storages' values lie in the arena from now on...
  void Bind() {
    for (const auto& place : places_) {
      Bind(place.first, static_cast<char*>(buffer_.data()) +
                            static_cast<size_t>(place.second) * width_);
    }
  }
  // ... and no longer.
  void Unbind() {
    for (const auto& place : places_) Bind(place.first, nullptr);
  }

 private:
  void Bind(Storage<float>* storage, char* memory) {
    if (width_ == sizeof(float)) {
      storage->Bind(reinterpret_cast<float*>(memory), side());
    } else {
      storage->BindNarrow(memory, side());
    }
  }

  const Precision kind_;
  const size_t width_;  // bytes of a value
  SideBuffer buffer_;
  // With their place, in values.
  std::vector<std::pair<Storage<float>*, int64_t>> places_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_PLAN_ARENA_HPP_
