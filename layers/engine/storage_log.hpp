#ifndef P3D_ENGINE_STORAGE_LOG_HPP_
#define P3D_ENGINE_STORAGE_LOG_HPP_

#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "engine/storage.hpp"

namespace p3d {

// Notes, while it lives, which storages this thread asks for anything, and what
// was so before the first time. What work on them does depends on that alone.
class StorageLog {
 public:
  struct Entry {
    std::shared_ptr<Storage<float>> storage;
    bool made;  // overwritten before anything was read
    Storage<float>::Places before;
    uint64_t version;  // before
  };

  StorageLog() : outer_(current_) { current_ = this; }
  ~StorageLog() { current_ = outer_; }
  StorageLog(const StorageLog&) = delete;
  StorageLog& operator=(const StorageLog&) = delete;

  // Nothing is noted while it lives.
  class Pause {
   public:
    Pause() : paused_(current_) { current_ = nullptr; }
    ~Pause() { current_ = paused_; }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    StorageLog* const paused_;
  };

  // Of this thread, or null.
  static StorageLog* current() { return current_; }
  void Note(Storage<float>* storage, bool made) {
    if (!noted_.insert(storage).second) return;
    entries_.push_back({storage->shared_from_this(), made, storage->places(),
                        storage->version()});
  }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  static thread_local StorageLog* current_;
  StorageLog* const outer_;
  std::set<Storage<float>*> noted_;
  std::vector<Entry> entries_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_STORAGE_LOG_HPP_
