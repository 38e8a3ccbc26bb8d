#include "profile.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

namespace ptx {
namespace {

constexpr int kSector = 32, kBanks = 32, kWord = 4;

struct Total {
  Counts counts;
  int64_t distinct = 0;  // sectors of each launch
  Kernel kernel;
};

// "ld.global.f32" of "@%p1 ld.global.f32 %f1, [%rd1]".
std::string NameOf(const std::string& text) {
  const size_t guard = text[0] == '@' ? text.find_first_of(" \t") : 0;
  const size_t begin = text.find_first_not_of(" \t", guard);
  return text.substr(begin, text.find_first_of(" \t", begin) - begin);
}

// How often each kind of instruction was run; and which ones follow each other
// without a branch: the first one's line, how many there are, how often.
void WriteInstructions(const Total& total, std::FILE* file) {
  const std::vector<int64_t>& runs = total.counts.runs;
  const std::vector<Source>& sources = total.kernel.sources;
  std::map<std::string, int64_t> names;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (runs[i]) names[NameOf(sources[i].text)] += runs[i];
  }
  const char* before = ", \"names\": {";
  for (const auto& name : names) {
    std::fprintf(file, "%s\"%s\": %lld", before, name.first.c_str(),
                 static_cast<long long>(name.second));
    before = ", ";
  }
  before = "}, \"stretches\": [";
  for (size_t i = 0; i < runs.size();) {
    size_t end = i + 1;
    while (end < runs.size() && runs[end] == runs[i]) ++end;
    std::fprintf(file, "%s[%d, %zu, %lld]", before, sources[i].line, end - i,
                 static_cast<long long>(runs[i]));
    before = ", ";
    i = end;
  }
  std::fprintf(file, "]");
}

class Profile {
 public:
  void Add(const Kernel& kernel, const Counts& counts) {
    const std::lock_guard<std::mutex> lock(mutex_);
    Total& total = totals_[kernel.name];
    total.kernel = kernel;
    total.distinct += static_cast<int64_t>(counts.sectors.size());
    total.counts += counts;
    total.counts.sectors.clear();
  }

  void Write() {
    std::FILE* const file = std::fopen(std::getenv("P3D_PTX_PROFILE"), "w");
    if (!file) return;
    for (const auto& entry : totals_) {
      const Counts& counts = entry.second.counts;
      std::fprintf(file, "{\"kernel\": \"%s\"", Demangled(entry.first).c_str());
      const auto write = [&](const char* name, int64_t value) {
        std::fprintf(file, ", \"%s\": %lld", name,
                     static_cast<long long>(value));
      };
      write("launches", counts.launches);
      write("blocks", counts.blocks);
      write("instructions", counts.instructions);
      write("lanes", counts.lanes);
      write("products", counts.products);
      write("loaded", counts.loaded);
      write("stored", counts.stored);
      write("loaded_moved", counts.loaded_sectors * kSector);
      write("stored_moved", counts.stored_sectors * kSector);
      write("distinct", entry.second.distinct * kSector);
      write("shared_ideal", counts.shared_ideal);
      write("shared_cycles", counts.shared_cycles);
      WriteInstructions(entry.second, file);
      std::fprintf(file, "}\n");
    }
    std::fclose(file);
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Total> totals_;
};

Profile& TheProfile() {
  static Profile* profile = [] {
    std::atexit([] { TheProfile().Write(); });
    return new Profile;
  }();
  return *profile;
}

}  // namespace

void Counts::operator+=(const Counts& other) {
  launches += other.launches;
  blocks += other.blocks;
  instructions += other.instructions;
  lanes += other.lanes;
  products += other.products;
  loaded += other.loaded;
  stored += other.stored;
  loaded_sectors += other.loaded_sectors;
  stored_sectors += other.stored_sectors;
  shared_ideal += other.shared_ideal;
  shared_cycles += other.shared_cycles;
  runs.resize(std::max(runs.size(), other.runs.size()));
  for (size_t i = 0; i < other.runs.size(); ++i) runs[i] += other.runs[i];
  sectors.insert(other.sectors.begin(), other.sectors.end());
}

void Counts::Global(const uint64_t* addresses, uint32_t mask, int bytes,
                    bool writes) {
  std::vector<uint64_t> met;
  for (; mask; mask &= mask - 1) {
    const uint64_t address = addresses[__builtin_ctz(mask)];
    (writes ? stored : loaded) += bytes;
    for (uint64_t sector = address / kSector;
         sector <= (address + bytes - 1) / kSector; ++sector)
      met.push_back(sector);
  }
  std::sort(met.begin(), met.end());
  met.erase(std::unique(met.begin(), met.end()), met.end());
  (writes ? stored_sectors : loaded_sectors) +=
      static_cast<int64_t>(met.size());
  sectors.insert(met.begin(), met.end());
}

// As many lanes at once as have 128 bytes together.
void Counts::Shared(const uint64_t* addresses, uint32_t mask, int bytes) {
  const int together = kBanks * kWord / bytes;
  for (int first = 0; first < 32; first += together) {
    std::vector<uint64_t> words;
    for (int lane = first; lane < first + together; ++lane) {
      if (!(mask >> lane & 1)) continue;
      for (int i = 0; i < bytes / kWord; ++i)
        words.push_back(addresses[lane] / kWord + i);
    }
    if (words.empty()) continue;
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    int of_bank[kBanks] = {};
    for (uint64_t word : words) ++of_bank[word % kBanks];
    ++shared_ideal;
    shared_cycles += *std::max_element(of_bank, of_bank + kBanks);
  }
}

void AddToProfile(const Kernel& kernel, const Counts& counts) {
  TheProfile().Add(kernel, counts);
}

bool Profiling() {
  static const bool profiling = std::getenv("P3D_PTX_PROFILE");
  return profiling;
}

}  // namespace ptx
