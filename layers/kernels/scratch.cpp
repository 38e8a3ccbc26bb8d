#include "kernels/scratch.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace p3d {
namespace detail {
namespace {

// Deeper nesting than any kernel's.
constexpr size_t kStock = 16;

bool Smaller(const std::unique_ptr<Buffer>& a,
             const std::unique_ptr<Buffer>& b) {
  return a->bytes() < b->bytes();
}

// Sorted by size.
thread_local std::vector<std::unique_ptr<Buffer>> stock;

}  // namespace

std::unique_ptr<Buffer> TakeScratch(size_t bytes) {
  stock.reserve(kStock);  // for ReturnScratch, which may not throw
  for (size_t i = 0; i < stock.size(); ++i) {
    if (stock[i]->bytes() < bytes) continue;
    std::unique_ptr<Buffer> found = std::move(stock[i]);
    stock.erase(stock.begin() + i);
    return found;
  }
  // What is too small today was too small for the same net before.
  if (!stock.empty()) stock.erase(stock.begin());
  return std::unique_ptr<Buffer>(new Buffer(bytes));
}

void ReturnScratch(std::unique_ptr<Buffer> buffer) {
  if (stock.capacity() == 0) return;  // another thread took it
  if (stock.size() == kStock) stock.erase(stock.begin());
  stock.insert(std::upper_bound(stock.begin(), stock.end(), buffer, Smaller),
               std::move(buffer));
}

}  // namespace detail
}  // namespace p3d
