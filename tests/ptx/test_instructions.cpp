// Instructions where it is easy to be wrong, in kernels of one warp that leave
// a result in %rd2; and what is refused.

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "block.hpp"
#include "testing.hpp"

namespace {

using testing::Expect;

struct Case {
  const char* body;
  uint64_t result;
};

struct Refused {
  const char* body;
  const char* message;
};

const Case kCases[] = {
    // To integers: too large, NaN.
    {"mov.f32 %f1, 0f7FC00000; cvt.rzi.s32.f32 %r1, %f1; cvt.u64.u32 %rd2, %r1",
     0},
    {"mov.f32 %f1, 0f7FC00000; cvt.rzi.s64.f32 %rd2, %f1", uint64_t{1} << 63},
    {"mov.f64 %fd1, 0d7FF8000000000000; cvt.rzi.s32.f64 %r1, %fd1; "
     "cvt.u64.u32 %rd2, %r1",
     uint64_t{1} << 31},
    {"mov.f32 %f1, 0f60000000; cvt.rzi.s64.f32 %rd2, %f1", ~uint64_t{0} >> 1},
    {"mov.f32 %f1, 0fE0000000; cvt.rzi.s64.f32 %rd2, %f1", uint64_t{1} << 63},
    // Zeros of both signs, NaN and a number.
    {"min.f32 %f1, 0f00000000, 0f80000000; mov.b64 %rd2, {%f1, %f1}",
     0x8000000080000000},
    {"max.f32 %f1, 0f80000000, 0f00000000; mov.b64 %rd2, {%f1, %f1}", 0},
    {"max.f64 %fd1, 0d7FF8000000000000, 0d3FF0000000000000; "
     "mov.b64 %rd2, %fd1",
     0x3ff0000000000000},
    {"setp.ne.f32 %p1, 0f7FC00000, 0f00000000; selp.b64 %rd2, 1, 0, %p1", 0},
    {"setp.neu.f32 %p1, 0f7FC00000, 0f00000000; selp.b64 %rd2, 1, 0, %p1", 1},
    // Predicates are true or false, whatever they were set to.
    {"mov.pred %p1, -1; setp.eq.s32 %p2, 1, 1; xor.pred %p3, %p1, %p2; "
     "selp.b64 %rd2, 1, 0, %p3",
     0},
    {"mov.pred %p1, -1; not.pred %p2, %p1; selp.b64 %rd2, 1, 0, %p2", 0},
    // Shifts by more than there is, division.
    {"mov.u64 %rd1, -8; shr.s64 %rd2, %rd1, 99", ~uint64_t{0}},
    {"mov.u64 %rd1, -8; shr.u64 %rd2, %rd1, 64", 0},
    {"mov.u64 %rd1, 1; bfi.b64 %rd2, %rd1, 0, 63, 1", uint64_t{1} << 63},
    {"mov.u64 %rd1, -1; mul.hi.u64 %rd2, %rd1, %rd1", ~uint64_t{1}},
    {"mov.u64 %rd1, -7; div.s64 %rd2, %rd1, 2", static_cast<uint64_t>(-3)},
    {"mov.u64 %rd1, -7; cvt.s64.s32 %rd2, %rd1", static_cast<uint64_t>(-7)},
    {"copysign.f64 %fd1, 0dBFF0000000000000, 0d4000000000000000; "
     "mov.b64 %rd2, %fd1",
     0xc000000000000000},
    // Two halves: the first operand is the upper one, or else the lower one.
    {"cvt.rn.bf16x2.f32 %r1, 0f3F800000, 0f40000000; cvt.u64.u32 %rd2, %r1",
     0x3f804000},
    // A number and NaN; zeros of both signs.
    {"max.NaN.f32 %f1, 0f7FC00000, 0f3F800000; mov.b64 %rd2, {%f1, %f1}",
     0x7fffffff7fffffff},
    {"max.NaN.f32 %f1, 0f80000000, 0f00000000; mov.b64 %rd2, {%f1, %f1}", 0},
    {"mov.u32 %r1, 0xBF807FC0; mov.u32 %r2, 0x3F80C000; "
     "max.bf16x2 %r3, %r1, %r2; cvt.u64.u32 %rd2, %r3",
     0x3f80c000},
    {"mov.u32 %r1, 0x80003C00; mov.u32 %r2, 0x00007E00; "
     "max.f16x2 %r3, %r1, %r2; cvt.u64.u32 %rd2, %r3",
     0x00003c00},
    {"mov.u32 %r1, 1; mov.u32 %r2, 2; mov.b64 %rd2, {%r1, %r2}", 0x200000001},
    // Addresses of 32 bits wrap. (Every thread has a word of its own.)
    {"mov.u32 %r1, %tid.x; shl.b32 %r1, %r1, 2; st.shared.u32 [%r1], 5; "
     "add.s32 %r1, %r1, -516; ld.shared.u32 %r2, [%r1+516]; "
     "cvt.u64.u32 %rd2, %r2",
     5},
};

// Lanes leave it one after the other, and meet again behind it.
const char kLoop[] =
    "mov.u32 %r1, %tid.x; mov.u64 %rd2, 0;\n"
    "more: add.s64 %rd2, %rd2, 1; sub.s32 %r1, %r1, 1;\n"
    "setp.ge.s32 %p1, %r1, 0; @%p1 bra more; bar.sync 0";

const Refused kRefused[] = {
    {"mov.u64 %rd1, -4; ld.global.u32 %r1, [%rd1]", "nothing is allocated"},
    {"mov.u64 %rd1, -2; ld.global.u32 %r1, [%rd1]", "nothing is allocated"},
    {"ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd0+4]", "no multiple"},
    {"ld.global.v2.u64 {%rd1, %rd3}, [%rd0+248]", "8 of them behind the end"},
    {"mov.u32 %r1, shared; @%p1 bar.sync 0", "a guard"},
    {"cp.async.cg.shared.global [%r1+16], [%rd0], 16, 16", "an offset"},
    {"mov.u32 %r1, shared; cp.async.cg.shared.global [%r1], [%rd0], 16, 32",
     "reads more than it copies"},
    {"mov.u32 %r1, %tid.x; setp.gt.s32 %p1, %r1, 15; @%p1 ret; "
     "mov.u32 %r1, shared; "
     "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r2, %r3, %r4, %r5}, [%r1]",
     "misses lanes of its warp"},
    // Each lane's own row goes to others.
    {"mov.u32 %r1, %tid.x; shl.b32 %r1, %r1, 4; mov.u32 %r2, shared; "
     "add.s32 %r1, %r1, %r2; st.shared.v4.u32 [%r1], {%r2, %r2, %r2, %r2}; "
     "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r2, %r3, %r4, %r5}, [%r1]",
     "without a barrier"},
    {"vote.sync.any.pred %p1, %p2, -1", "not understood"},
    {"bra nowhere", "no label nowhere"},
};

// Room for a value of every lane.
class Results : public ptx::Memory {
 public:
  bool Holds(uint64_t address, ptx::Allocation* found) override {
    found->begin = reinterpret_cast<uint64_t>(values);
    found->end = found->begin + sizeof(values);
    found->writers = writers;
    return address >= found->begin && address < found->end;
  }
  alignas(256) uint64_t values[ptx::kLanes] = {};
  ptx::Writer writers[2 * ptx::kLanes] = {};
};

void Run(const std::string& body, Results* results) {
  const std::string module =
      ".entry test(\n.param .u64 results\n)\n.maxntid 32, 1, 1\n{\n"
      ".reg .pred %p<9>;\n.reg .b32 %r<9>;\n.reg .b64 %rd<9>;\n"
      ".reg .f32 %f<9>;\n.reg .f64 %fd<9>;\n"
      ".shared .align 16 .b8 shared[512];\n"
      "ld.param.u64 %rd0, [results];\n" +
      body +
      ";\nmov.u32 %r8, %tid.x;\nmul.wide.u32 %rd8, %r8, 8;\n"
      "add.s64 %rd8, %rd8, %rd0;\nst.global.u64 [%rd8], %rd2;\nret;\n}\n";
  const ptx::Kernel kernel = ptx::ParseKernel(module, "test");
  ptx::Launch launch{
      &kernel, {1, 1, 1}, {ptx::kLanes, 1, 1}, std::vector<char>(8), results};
  uint64_t* const address = results->values;
  std::memcpy(launch.parameters.data(), &address, 8);
  ptx::Block(launch).Run(0);
}

void TestCase(const Case& test) {
  Results results;
  try {
    Run(test.body, &results);
    for (uint64_t value : results.values) {
      Expect(value == test.result,
             std::string(test.body) + " gives " + std::to_string(value));
    }
  } catch (const ptx::Error& error) {
    Expect(false, error.what());
  }
}

void TestLoop() {
  Results results;
  Run(kLoop, &results);
  for (uint64_t lane = 0; lane < ptx::kLanes; ++lane) {
    Expect(results.values[lane] == lane + 1,
           "rounds of lane " + std::to_string(lane));
  }
}

void TestRefused(const Refused& test) {
  Results results;
  std::string message = "nothing";
  try {
    Run(test.body, &results);
  } catch (const ptx::Error& error) {
    message = error.what();
  }
  Expect(message.find(test.message) != std::string::npos,
         std::string(test.body) + " is refused because of " + message);
}

}  // namespace

int main() {
  for (const Case& test : kCases) TestCase(test);
  for (const Refused& test : kRefused) TestRefused(test);
  TestLoop();
  return testing::Finish();
}
