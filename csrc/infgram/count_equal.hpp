// How often does a byte occur in a stretch of bytes: the inner loop of ranks over byte-wide codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace infgram {

// Byte columns must stay readable for this many bytes past their last row (files are padded to
// it), so that loops may load whole vectors.
inline constexpr std::size_t padding_bytes = 64;

namespace detail {

// The compiler's portable vectors: two SSE2 or NEON registers, one AVX2 register.
using Bytes32 = std::uint8_t __attribute__((vector_size(32)));
using Words4 = std::uint64_t __attribute__((vector_size(32)));

inline constexpr Bytes32 iota32 = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                   16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

inline Bytes32 load32(const std::uint8_t* from) noexcept {
    Bytes32 bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

// Sum of the 32 bytes, each at most 255.
inline std::uint32_t sum32(Bytes32 bytes) noexcept {
    constexpr std::uint64_t low = 0x00ff00ff00ff00ffULL;
    Words4 words;
    std::memcpy(&words, &bytes, sizeof words);
    const Words4 pairs = (words & low) + ((words >> 8) & low);  // 16 sums of at most 510
    const std::uint64_t lanes = pairs[0] + pairs[1] + pairs[2] + pairs[3];
    return static_cast<std::uint32_t>((lanes * 0x0001000100010001ULL) >> 48);
}

}  // namespace detail

// Occurrences of `byte` in bytes[0..n), n < 8192. Reads up to 31 bytes past the end.
inline std::uint32_t count_equal(const std::uint8_t* bytes, std::uint32_t n,
                                 std::uint8_t byte) noexcept {
    using namespace detail;
    Bytes32 counts = {};
    std::uint32_t done = 0;
    for (; done + 32 <= n; done += 32)
        counts -= reinterpret_cast<Bytes32>(load32(bytes + done) == byte);
    const auto left = static_cast<std::uint8_t>(n - done);
    if (left != 0)
        counts -= reinterpret_cast<Bytes32>((load32(bytes + done) == byte) & (iota32 < left));
    return sum32(counts);
}

}  // namespace infgram
