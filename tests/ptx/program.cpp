#include "program.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

#include "operations.hpp"

namespace ptx {
namespace {

// Of wgmma: two matrices, whether sums are added to, and what becomes of each
// matrix, twice two.
constexpr size_t kBehindSums = 7;

// What ends with a semicolon, or a label.
struct Statement {
  std::string text;
  int line;
  bool label;
};

bool IsName(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' ||
         c == '%' || c == '.';
}

std::string Trim(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// The place of `name` in the module where it is declared as `.entry` or
// `.func`, npos if nowhere. Declarations without a body do not count.
size_t Find(const std::string& module, const std::string& name, char opened) {
  const std::string wanted = name + opened;
  for (size_t at = module.find(wanted); at != std::string::npos;
       at = module.find(wanted, at + 1)) {
    if (at > 0 && IsName(module[at - 1])) continue;
    const size_t line = module.rfind('\n', at) + 1;
    const std::string before = module.substr(line, at - line);
    const bool declared = before.find(".entry") != std::string::npos ||
                          before.find(".func") != std::string::npos;
    const size_t body = module.find_first_of("{;", at);
    if (declared && body != std::string::npos && module[body] == '{') {
      return at;
    }
  }
  return std::string::npos;
}

// A body's statements. Braces around scopes are left out: what is declared in
// them has names of its own, or is used for nothing else.
std::vector<Statement> Split(const std::string& module, size_t body) {
  std::vector<Statement> statements;
  int line = 1 + static_cast<int>(
                     std::count(module.begin(), module.begin() + body, '\n'));
  int depth = 0;
  std::string text;
  bool vector = false;  // within the braces of an operand
  for (size_t i = body; i < module.size(); ++i) {
    const char c = module[i];
    if (c == '\n') ++line;
    if (c == '/' && module[i + 1] == '/') {
      i = module.find('\n', i) - 1;
    } else if (c == ';') {
      statements.push_back({Trim(text), line, false});
      text.clear();
    } else if (c == ':' && module[i + 1] == ':') {
      text += "::";  // "shared::cta"
      ++i;
    } else if (c == ':' &&
               Trim(text).find_first_of(" \t") == std::string::npos) {
      statements.push_back({Trim(text), line, true});
      text.clear();
    } else if (c == '{' && !Trim(text).empty()) {
      vector = true;
      text += c;
    } else if (c == '}' && vector) {
      vector = false;
      text += c;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}') {
      if (--depth == 0) break;
    } else {
      text += c;
    }
  }
  return statements;
}

int SizeOf(const std::string& type) {
  if (type == ".pred") return 1;
  return std::stoi(type.substr(2)) / 8;
}

std::vector<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// "a|f, {b, c}, [d+4], (e)" -> a f b c [d+4] e
std::vector<std::string> Operands(const std::string& text) {
  std::vector<std::string> operands;
  std::string operand;
  for (char c : text + ',') {
    if (c == ',' || c == '|') {
      if (!operand.empty()) operands.push_back(operand);
      operand.clear();
    } else if (!std::isspace(static_cast<unsigned char>(c)) &&
               !std::strchr("{}()", c)) {
      operand += c;
    }
  }
  return operands;
}

// Bytes of an operand that is a constant, by its number and the last part of
// the instruction's name: ".f32". How far is shifted is always one of 32 bits.
int ConstantBytes(const std::string& name, size_t operand) {
  if (name.compare(0, 2, "sh") == 0 && operand == 2) return 4;
  if (name.compare(0, 3, "bfi") == 0 && operand > 2) return 4;
  const std::string type = name.substr(name.rfind('.') + 1);
  if (type == "pred") return 1;
  const size_t digit = type.find_first_of("0123456789");
  if (digit == std::string::npos) return 4;  // cp.async and mma: 32 bits
  return std::max(1, std::stoi(type.substr(digit)) / 8);
}

class Parser {
 public:
  Parser(const std::string& module, Kernel* kernel)
      : module_(module), kernel_(kernel) {}

  void Run() {
    const size_t at = Find(module_, kernel_->name, '(');
    if (at == std::string::npos) {
      throw Error("there is no kernel " + kernel_->name + " in the module");
    }
    const size_t body = module_.find('{', at);
    ParseHead(module_.substr(at, body - at));
    FindExtern();
    Scope scope;
    ParseBody(Split(module_, body), &scope);
    if (kernel_->extern_shared >= 0 && kernel_->shared_bytes > 0)
      throw Error("shared memory of its own and from the launch");
    for (const auto& jump : jumps_) {
      const auto found = labels_.find(jump.second);
      if (found == labels_.end()) throw Error("no label " + jump.second);
      kernel_->code[jump.first].target = found->second;
    }
  }

 private:
  struct Register {
    int place, width;
  };
  struct Scope {
    std::string prefix;  // of labels
    std::map<std::string, Register> registers;
    std::string end;  // where ret goes, "" to end the thread
  };

  void ParseHead(const std::string& text) {
    for (size_t at = text.find(".param"); at != std::string::npos;
         at = text.find(".param", at + 1)) {
      const size_t end = text.find_first_of(",\n", at);
      const std::vector<std::string> words = Words(text.substr(at, end - at));
      int size = 0, align = 0;
      std::string name = words.back();
      for (size_t i = 1; i < words.size(); ++i) {
        if (words[i] == ".align") align = std::stoi(words[i + 1]);
        if (std::strchr("busf", words[i][1]) && words[i][0] == '.' &&
            std::isdigit(static_cast<unsigned char>(words[i].back()))) {
          size = SizeOf(words[i]);
        }
      }
      if (align == 0) align = size;
      const size_t bracket = name.find('[');
      if (bracket != std::string::npos) {
        size *= std::stoi(name.substr(bracket + 1));
        name.resize(bracket);
      }
      const int offset = (kernel_->parameter_bytes + align - 1) / align * align;
      kernel_->parameters.push_back({name, offset, size});
      kernel_->parameter_bytes = offset + size;
    }
    const size_t bound = text.find(".maxntid");
    if (bound != std::string::npos) {
      kernel_->max_threads = std::stoi(text.substr(bound + 8));
    }
  }

  Register Add(int width) {
    const Register added{kernel_->file_bytes, width};
    kernel_->file_bytes += width * kLanes;
    // Each begins where vectors like to.
    kernel_->file_bytes = (kernel_->file_bytes + 31) / 32 * 32;
    return added;
  }

  void ParseBody(const std::vector<Statement>& statements, Scope* scope) {
    for (const Statement& statement : statements) {
      if (statement.label) {
        labels_[scope->prefix + statement.text] =
            static_cast<int>(kernel_->code.size());
      } else if (statement.text[0] == '.') {
        Declare(statement.text, scope);
      } else {
        ParseInstruction(statement, scope);
      }
    }
  }

  void Declare(const std::string& text, Scope* scope) {
    const std::vector<std::string> words = Words(text);
    if (words[0] == ".pragma") return;
    std::string name = words.back();
    if (words[0] == ".reg") {
      const size_t bracket = name.find('<');
      if (bracket == std::string::npos) {
        scope->registers[name] = Add(SizeOf(words[1]));
        return;
      }
      const int count = std::stoi(name.substr(bracket + 1));
      name.resize(bracket);
      for (int i = 0; i < count; ++i) {
        scope->registers[name + std::to_string(i)] = Add(SizeOf(words[1]));
      }
    } else if (words[0] == ".param") {
      scope->registers[name] = Add(SizeOf(words[1]));
    } else if (words[0] == ".shared") {
      const size_t bracket = name.find('[');
      const int size = std::stoi(name.substr(bracket + 1));
      name.resize(bracket);
      kernel_->shared_bytes = AlignedShared(kernel_->shared_bytes, text);
      shared_[name] = kernel_->shared_bytes;
      own_.insert(name);
      kernel_->shared_bytes += size;
    } else {
      throw Error("not understood: " + text);
    }
  }

  Register ConstantOf(uint64_t value, int width) {
    const auto key = std::make_pair(value, width);
    const auto found = constants_.find(key);
    if (found != constants_.end()) return found->second;
    const Register added = Add(width);
    kernel_->constants.push_back({added.place, width, value});
    return constants_[key] = added;
  }

  Register SpecialOf(const std::string& name) {
    const auto found = specials_.find(name);
    if (found != specials_.end()) return found->second;
    const Register added = Add(4);
    kernel_->specials.push_back({name, added.place});
    return specials_[name] = added;
  }

  // From `place` on, where it is aligned as its declaration says; but if that
  // is much, no better than that.
  static int AlignedShared(int place, const std::string& declaration) {
    const size_t said = declaration.find(".align ");
    const int align =
        said == std::string::npos
            ? 16
            : std::max(16, std::stoi(declaration.substr(said + 7)));
    place = (place + align - 1) / align * align;
    return align > 16 && place / align % 2 == 0 ? place + align : place;
  }

  // ".extern .shared .align 1024 .b8 name[];" in front of the kernels: what
  // launches give. A block has one, whatever it is called.
  void FindExtern() {
    const std::string declared = ".extern .shared ";
    for (size_t at = module_.find(declared); at != std::string::npos;
         at = module_.find(declared, at + 1)) {
      const std::string text = module_.substr(at, module_.find(';', at) - at);
      const std::string name = Words(text).back();
      shared_[name.substr(0, name.find('['))] = AlignedShared(0, text);
    }
  }

  // Where a variable of shared memory or a parameter lies; whether it is one.
  bool Symbol(const std::string& name, int64_t* place) const {
    const auto shared = shared_.find(name);
    if (shared != shared_.end()) {
      *place = shared->second;
      if (!own_.count(name))
        kernel_->extern_shared = static_cast<int>(shared->second);
      return true;
    }
    for (const Parameter& parameter : kernel_->parameters) {
      if (parameter.name == name) {
        *place = parameter.offset;
        return true;
      }
    }
    return false;
  }

  Register OperandOf(const std::string& text, int bytes, const Scope& scope) {
    const auto found = scope.registers.find(text);
    if (found != scope.registers.end()) return found->second;
    int64_t place = 0;
    if (Symbol(text, &place)) return ConstantOf(place, bytes);
    if (text[0] == '%') return SpecialOf(text);
    if (text[0] == '0' && std::strchr("fFdD", text[1]) && text.size() > 2) {
      return ConstantOf(std::stoull(text.substr(2), nullptr, 16), bytes);
    }
    size_t end = 0;
    uint64_t value = 0;
    try {
      value = text[0] == '-' ? std::stoll(text, &end, 0)
                             : std::stoull(text, &end, 0);
    } catch (const std::exception&) {
      throw Error("unknown operand " + text);
    }
    return ConstantOf(value, bytes);
  }

  void Append(const Register& operand, Instruction* instruction) {
    if (instruction->operands == kMaxOperands) throw Error("too many operands");
    instruction->at[instruction->operands] = operand.place;
    instruction->width[instruction->operands] =
        static_cast<uint8_t>(operand.width);
    ++instruction->operands;
  }

  // "[%rd1+16]", "[symbol+4]" or "[%r1]".
  void Address(const std::string& text, const Scope& scope,
               Instruction* instruction) {
    std::string name = text.substr(1, text.size() - 2);
    const size_t sign = name.find_first_of("+-", 1);
    if (sign != std::string::npos) {
      // The assembler writes "a+-4".
      const size_t digits = name[sign] == '+' ? sign + 1 : sign;
      instruction->offset += std::stoll(name.substr(digits));
      name.resize(sign);
    }
    int64_t place = 0;
    if (Symbol(name, &place)) {
      instruction->offset += place;
      Append(ConstantOf(0, 8), instruction);
    } else {
      Append(OperandOf(name, 8, scope), instruction);
    }
  }

  // The name of a register that stands for a parameter of a function in
  // "[name+0]", else "".
  static std::string Passed(const std::string& operand, const Scope& scope) {
    const std::string name = operand.substr(1, operand.find_first_of("+]") - 1);
    return scope.registers.count(name) && name[0] != '%' ? name : "";
  }

  void ParseInstruction(const Statement& statement, Scope* scope) {
    Instruction instruction;
    try {
      Parse(statement, scope, &instruction);
    } catch (const std::exception& error) {
      throw Error("line " + std::to_string(statement.line) + ", " +
                  statement.text + ": " + error.what());
    }
  }

  void Parse(const Statement& statement, Scope* scope,
             Instruction* instruction) {
    std::string text = statement.text;
    if (text[0] == '@') {
      const size_t space = text.find_first_of(" \t");
      instruction->unless = text[1] == '!';
      instruction->guard =
          scope->registers
              .at(text.substr(instruction->unless ? 2 : 1,
                              space - (instruction->unless ? 2 : 1)))
              .place;
      text = Trim(text.substr(space));
    }
    const size_t space = std::min(text.find_first_of(" \t"), text.size());
    std::string name = text.substr(0, space);
    std::vector<std::string> operands = Operands(text.substr(space));
    if (name == "bra" || name == "bra.uni") {
      Jump(scope->prefix + operands[0], statement, instruction);
      return;
    }
    if (name == "ret" && !scope->end.empty()) {
      Jump(scope->end, statement, instruction);
      return;
    }
    if (name.compare(0, 4, "call") == 0 && instruction->guard < 0) {
      Inline(operands, scope);
      return;
    }
    const bool loads = name.compare(0, 9, "ld.param.") == 0;
    if (loads && !Passed(operands[1], *scope).empty()) {
      name = "mov" + name.substr(8);
      operands[1] = Passed(operands[1], *scope);
    } else if (name.compare(0, 9, "st.param.") == 0) {
      name = "mov" + name.substr(8);
      operands[0] = Passed(operands[0], *scope);
    }
    int addresses = 0;
    const size_t sums = name.compare(0, 15, "wgmma.mma_async") == 0
                            ? operands.size() - kBehindSums
                            : 0;
    for (size_t i = 0; i < operands.size(); ++i) {
      if (i < sums) {
        const int place = scope->registers.at(operands[i]).place;
        instruction->sums.push_back(place);
      } else if (operands[i][0] == '[') {
        ++addresses;
        instruction->base = instruction->operands;
        Address(operands[i], *scope, instruction);
      } else {
        const int bytes = ConstantBytes(name, i);
        Append(OperandOf(operands[i], bytes, *scope), instruction);
      }
    }
    if (addresses > 1 && instruction->offset != 0)
      throw Error("two addresses, one with an offset");
    Choose(name, instruction);
    const bool together = instruction->flow == Flow::kTogether ||
                          instruction->flow == Flow::kBarrier;
    if (together && instruction->guard >= 0)
      throw Error("a guard in front of what is done together");
    Add(*instruction, statement);
  }

  void Jump(const std::string& label, const Statement& statement,
            Instruction* instruction) {
    instruction->flow = Flow::kBranch;
    jumps_.emplace_back(kernel_->code.size(), label);
    Add(*instruction, statement);
  }

  void Add(const Instruction& instruction, const Statement& statement) {
    kernel_->code.push_back(instruction);
    kernel_->sources.push_back({statement.line, statement.text});
  }

  // "(result), function, (a, b)", the parentheses left out.
  void Inline(const std::vector<std::string>& operands, Scope* scope) {
    const std::string& name = operands.at(1);
    const size_t at = Find(module_, name, '(');
    if (at == std::string::npos) throw Error("no function " + name);
    Scope inner;
    inner.prefix = "call" + std::to_string(++calls_) + ".";
    inner.end = inner.prefix + "end";
    inner.registers["func_retval0"] = scope->registers.at(operands[0]);
    for (size_t i = 2; i < operands.size(); ++i) {
      const std::string parameter = name + "_param_" + std::to_string(i - 2);
      inner.registers[parameter] = scope->registers.at(operands[i]);
    }
    ParseBody(Split(module_, module_.find('{', at)), &inner);
    labels_[inner.end] = static_cast<int>(kernel_->code.size());
  }

  const std::string& module_;
  Kernel* kernel_;
  std::map<std::string, int64_t> shared_;
  std::set<std::string> own_;  // of them, those declared in the kernel
  std::map<std::pair<uint64_t, int>, Register> constants_;
  std::map<std::string, Register> specials_;
  std::map<std::string, int> labels_;
  std::vector<std::pair<size_t, std::string>> jumps_;
  int calls_ = 0;
};

}  // namespace

std::string Demangled(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), std::free);
  return status == 0 ? text.get() : name;
}

Kernel ParseKernel(const std::string& module, const std::string& name) {
  Kernel kernel;
  kernel.name = name;
  Parser(module, &kernel).Run();
  return kernel;
}

}  // namespace ptx
