// Base64 text to bytes (RFC 4648, section 4: padded, no line breaks).
#pragma once

#include <cstddef>
#include <string_view>

namespace rbmx::text {

// Bytes that a text of whole groups of four holds, from its length and padding; 0 where the length
// is no multiple of four.
std::size_t decoded_size(std::string_view text);

// Writes decoded_size(text) bytes; false where a character is none of the alphabet's or padding is
// out of place.
bool decode_base64(std::string_view text, unsigned char* bytes);

}  // namespace rbmx::text
