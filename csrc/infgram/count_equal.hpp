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

// The compiler's portable vectors, as wide as every 64-bit machine has them: SSE2, NEON.
using Bytes16 = std::uint8_t __attribute__((vector_size(16)));
using Words2 = std::uint64_t __attribute__((vector_size(16)));

inline constexpr Bytes16 iota16 = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

inline Bytes16 load16(const std::uint8_t* from) noexcept {
    Bytes16 bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

// Sum of the 16 bytes.
inline std::uint32_t sum16(Bytes16 bytes) noexcept {
    constexpr std::uint64_t low = 0x00ff00ff00ff00ffULL;
    Words2 words;
    std::memcpy(&words, &bytes, sizeof words);
    const Words2 pairs = (words & low) + ((words >> 8) & low);  // 8 sums of at most 510
    return static_cast<std::uint32_t>(((pairs[0] + pairs[1]) * 0x0001000100010001ULL) >> 48);
}

}  // namespace detail

// Occurrences of `byte` in bytes[0..n), n < 4080. Reads up to 15 bytes past the end.
inline std::uint32_t count_equal(const std::uint8_t* bytes, std::uint32_t n,
                                 std::uint8_t byte) noexcept {
    using namespace detail;
    Bytes16 counts = {};
    std::uint32_t done = 0;
    for (; done + 16 <= n; done += 16)
        counts -= reinterpret_cast<Bytes16>(load16(bytes + done) == byte);
    const auto left = static_cast<std::uint8_t>(n - done);
    if (left != 0)
        counts -= reinterpret_cast<Bytes16>((load16(bytes + done) == byte) & (iota16 < left));
    return sum16(counts);
}

}  // namespace infgram
