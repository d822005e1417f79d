#include "text/base64.h"

#include <array>
#include <cstdint>

namespace rbmx::text {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint32_t kNone = 1u << 31;  // no bit of the 24 that a group holds

using Table = std::array<std::uint32_t, 256>;

// The six bits of each character at its place in a group.
constexpr Table table_of(int place) {
  Table table{};
  for (auto& entry : table) entry = kNone;
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint32_t>(i)
                                                      << (18 - 6 * place);
  }
  return table;
}

constexpr std::array<Table, 4> kTables = {table_of(0), table_of(1), table_of(2), table_of(3)};

std::uint32_t group_of(const char* text) {
  std::uint32_t bits = 0;
  for (std::size_t place = 0; place < 4; ++place) {
    bits |= kTables[place][static_cast<unsigned char>(text[place])];
  }
  return bits;
}

std::size_t padding_of(std::string_view text) {
  const std::size_t last = text.find_last_not_of('=');
  return last == std::string_view::npos ? text.size() : text.size() - 1 - last;
}

}  // namespace

std::size_t decoded_size(std::string_view text) {
  if (text.size() % 4 != 0) return 0;
  const std::size_t padding = padding_of(text);
  return padding > 2 ? 0 : text.size() / 4 * 3 - padding;
}

bool decode_base64(std::string_view text, unsigned char* bytes) {
  if (text.size() % 4 != 0) return false;
  const std::size_t padding = padding_of(text);
  if (padding > 2) return false;
  const std::size_t whole = (text.size() - padding) / 4 * 4;
  std::uint32_t seen = 0;
  for (std::size_t i = 0; i < whole; i += 4) {
    const std::uint32_t bits = group_of(text.data() + i);
    seen |= bits;
    bytes[0] = static_cast<unsigned char>(bits >> 16);
    bytes[1] = static_cast<unsigned char>(bits >> 8);
    bytes[2] = static_cast<unsigned char>(bits);
    bytes += 3;
  }
  if (padding != 0) {
    std::array<char, 4> last = {text[whole], text[whole + 1], text[whole + 2], 'A'};
    if (padding == 2) last[2] = 'A';
    const std::uint32_t bits = group_of(last.data());
    const std::uint32_t unused = padding == 2 ? 0xFFFFu : 0xFFu;
    if ((bits & unused) != 0) return false;
    seen |= bits;
    bytes[0] = static_cast<unsigned char>(bits >> 16);
    if (padding == 1) bytes[1] = static_cast<unsigned char>(bits >> 8);
  }
  return (seen & kNone) == 0;
}

}  // namespace rbmx::text
