// Which of 64 bytes equal a given one: the inner step of ranks over byte-wide codes.
//
// SSE2 on x86-64, NEON on 64-bit ARM, words of 64 bits elsewhere. What NEON is worth was never
// measured on a real processor: it was run under an emulator, and compared with the words.
//
// Pure: threads may call all of it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__) || defined(_M_X64)
#define INFGRAM_SSE2
#include <emmintrin.h>
#elif defined(__aarch64__) || defined(_M_ARM64)
#define INFGRAM_NEON
#include <arm_neon.h>
#endif

namespace infgram {

// Byte columns must stay readable for this many bytes past their last row (files are padded to
// it), so that whole blocks of 64 may be loaded.
inline constexpr std::size_t padding_bytes = 64;

namespace detail {

inline std::uint64_t match64_by_words(const std::uint8_t* bytes, std::uint8_t byte) noexcept {
    constexpr std::uint64_t ones = 0x0101010101010101ULL;
    constexpr std::uint64_t low7 = 0x7f7f7f7f7f7f7f7fULL;
    std::uint64_t matches = 0;
    for (int i = 0; i < 8; ++i) {
        std::uint64_t word;
        std::memcpy(&word, bytes + 8 * i, sizeof word);
        word ^= ones * byte;  // a zero byte where it matches
        const std::uint64_t zero = ~(((word & low7) + low7) | word | low7);  // 0x80 there
        matches |= (((zero >> 7) * 0x0102040810204080ULL) >> 56) << (8 * i);
    }
    return matches;
}

inline std::uint64_t below64_by_bytes(const std::uint8_t* bytes, std::uint8_t least) noexcept {
    std::uint64_t below = 0;
    for (int i = 0; i < 64; ++i) below |= std::uint64_t{bytes[i] < least} << i;
    return below;
}

#if defined(INFGRAM_NEON)
// Bit i tells whether byte i of the four vectors is set; their bytes are 0 or 255.
inline std::uint64_t bits_of(const uint8x16x4_t& set) noexcept {
    // Of each byte a bit of its own is kept, and neighbours are added until eight are one byte.
    const uint8x16_t own = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201ULL));
    const uint8x16_t low = vpaddq_u8(vandq_u8(set.val[0], own), vandq_u8(set.val[1], own));
    const uint8x16_t high = vpaddq_u8(vandq_u8(set.val[2], own), vandq_u8(set.val[3], own));
    const uint8x16_t pairs = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(pairs, pairs)), 0);
}
#endif

}  // namespace detail

// Bit i is set if bytes[i] == byte, 0 <= i < 64. Reads 64 bytes.
inline std::uint64_t match64(const std::uint8_t* bytes, std::uint8_t byte) noexcept {
#if defined(INFGRAM_SSE2)
    std::uint64_t matches = 0;
    const __m128i wanted = _mm_set1_epi8(static_cast<char>(byte));
    for (int i = 0; i < 4; ++i) {
        const __m128i found = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16 * i));
        const int equal = _mm_movemask_epi8(_mm_cmpeq_epi8(found, wanted));
        matches |= static_cast<std::uint64_t>(static_cast<unsigned>(equal)) << (16 * i);
    }
    return matches;
#elif defined(INFGRAM_NEON)
    const uint8x16_t wanted = vdupq_n_u8(byte);
    uint8x16x4_t equal;
    for (int i = 0; i < 4; ++i) equal.val[i] = vceqq_u8(vld1q_u8(bytes + 16 * i), wanted);
    return detail::bits_of(equal);
#else
    return detail::match64_by_words(bytes, byte);
#endif
}

// Bit i is set if bytes[i] < least, 0 <= i < 64. Reads 64 bytes.
inline std::uint64_t below64(const std::uint8_t* bytes, std::uint8_t least) noexcept {
#if defined(INFGRAM_SSE2)
    std::uint64_t below = 0;
    const __m128i bound = _mm_set1_epi8(static_cast<char>(least));
    for (int i = 0; i < 4; ++i) {
        const __m128i found = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16 * i));
        const int reached = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(found, bound), found));
        below |= static_cast<std::uint64_t>(static_cast<unsigned>(~reached & 0xffff)) << (16 * i);
    }
    return below;
#elif defined(INFGRAM_NEON)
    const uint8x16_t bound = vdupq_n_u8(least);
    uint8x16x4_t less;
    for (int i = 0; i < 4; ++i) less.val[i] = vcltq_u8(vld1q_u8(bytes + 16 * i), bound);
    return detail::bits_of(less);
#else
    return detail::below64_by_bytes(bytes, least);
#endif
}

// The n lowest bits, n <= 64. A table, because a shift by 64 is not defined.
inline constexpr std::array<std::uint64_t, 65> low_bits_of = [] {
    std::array<std::uint64_t, 65> of{};
    for (std::size_t n = 1; n < of.size(); ++n) of[n] = of[n - 1] << 1 | 1;
    return of;
}();
constexpr std::uint64_t low_bits(std::uint32_t n) noexcept { return low_bits_of[n]; }

// Set bits. Without the instruction, std::popcount calls a library function; this does not.
constexpr std::uint32_t count_bits(std::uint64_t bits) noexcept {
#if defined(__POPCNT__) || defined(INFGRAM_NEON)
    return static_cast<std::uint32_t>(std::popcount(bits));
#else
    bits -= (bits >> 1) & 0x5555555555555555ULL;
    bits = (bits & 0x3333333333333333ULL) + ((bits >> 2) & 0x3333333333333333ULL);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    return static_cast<std::uint32_t>((bits * 0x0101010101010101ULL) >> 56);
#endif
}

// Occurrences of `byte` in bytes[0..n), n <= most. Reads `most` bytes, rounded up to 64, whatever n
// is: a loop that always has as many rounds costs less than one whose end cannot be predicted.
inline std::uint32_t count_equal(const std::uint8_t* bytes, std::uint32_t n, std::uint32_t most,
                                 std::uint8_t byte) noexcept {
    std::uint32_t count = 0;
    for (std::uint32_t done = 0; done < most; done += 64) {
        const std::uint32_t here = std::min(n, 64u);
        count += count_bits(match64(bytes + done, byte) & low_bits(here));
        n -= here;
    }
    return count;
}

}  // namespace infgram
