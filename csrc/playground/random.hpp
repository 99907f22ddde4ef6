// numpy's `default_rng(seed).random()`: the same numbers, so that a seed gives here the text that
// it gives in Python.
//
// Sources: M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
// Algorithms for Random Number Generation" (2014), of which this is PCG XSL RR 128/64; her
// "Developing a seed_seq Alternative" (2015) for how seeds are spread.
//
// Not for two threads.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "infgram/models/draw.hpp"

namespace infgram::playground {

// A number of 128 bits, modulo 2^128.
struct Wide {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    friend constexpr Wide operator+(Wide a, Wide b) noexcept {
        const std::uint64_t low = a.low + b.low;
        return {a.high + b.high + (low < a.low ? 1 : 0), low};
    }
    friend constexpr Wide operator*(Wide a, Wide b) noexcept {
        constexpr std::uint64_t half = 0xffffffff;
        const std::uint64_t lows = (a.low & half) * (b.low & half);
        const std::uint64_t middle = (a.low >> 32) * (b.low & half) + (lows >> 32);
        const std::uint64_t other = (a.low & half) * (b.low >> 32) + (middle & half);
        const std::uint64_t carried =
            (a.low >> 32) * (b.low >> 32) + (middle >> 32) + (other >> 32);
        return {a.high * b.low + a.low * b.high + carried, other << 32 | (lows & half)};
    }
};

// A seed's 256 bits.
inline std::array<std::uint64_t, 4> spread_seed(std::uint64_t seed) noexcept {
    constexpr std::size_t n_pool = 4;
    const auto fold = [](std::uint32_t x) { return x ^ x >> 16; };
    std::uint32_t factor = 0x43b0d7e5;
    const auto hash = [&](std::uint32_t x) {
        x ^= factor;
        factor *= 0x931e8875;
        return fold(x * factor);
    };
    std::array<std::uint32_t, n_pool> pool{static_cast<std::uint32_t>(seed),
                                           static_cast<std::uint32_t>(seed >> 32)};
    for (std::uint32_t& word : pool) word = hash(word);
    for (std::size_t from = 0; from < n_pool; ++from)
        for (std::size_t to = 0; to < n_pool; ++to)
            if (from != to) pool[to] = fold(0xca01f9dd * pool[to] - 0x4973f715 * hash(pool[from]));
    factor = 0x8b51f9dd;
    std::array<std::uint64_t, 4> bits{};
    for (std::size_t i = 0; i < 2 * bits.size(); ++i) {
        std::uint32_t word = pool[i % n_pool] ^ factor;
        factor *= 0x58f38ded;
        word = fold(word * factor);
        bits[i / 2] |= std::uint64_t{word} << (32 * (i % 2));
    }
    return bits;
}

class Random {
public:
    explicit Random(std::uint64_t seed) noexcept {
        const auto [high, low, sequence_high, sequence_low] = spread_seed(seed);
        step_ = {sequence_high << 1 | sequence_low >> 63, sequence_low << 1 | 1};
        state_ = step_ + Wide{high, low};
        next();
    }

    // The numbers of [0, 1) that come next, for whoever draws; this must live on, where it is.
    [[nodiscard]] Uniform uniform() noexcept {
        return {[](void* random) { return static_cast<Random*>(random)->number(); }, this};
    }
    [[nodiscard]] double number() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

private:
    std::uint64_t next() noexcept {
        state_ = state_ * Wide{2549297995355413924ULL, 4865540595714422341ULL} + step_;
        return std::rotr(state_.high ^ state_.low, static_cast<int>(state_.high >> 58));
    }

    Wide state_;
    Wide step_;
};

}  // namespace infgram::playground
