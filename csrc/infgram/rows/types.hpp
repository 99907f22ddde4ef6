// The few words every other header speaks: rows, positions, ranges, levels and the core's errors.
//
// Interval convention, everywhere: half-open [begin, end).
//
// Plain values: what threads share of them must not change.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace infgram {

using Row = std::uint32_t;       // a place in the sorted order of contexts
using Position = std::uint32_t;  // a place in a shard's text

// Rows that share a context.
struct Range {
    Row begin = 0;
    Row end = 0;

    [[nodiscard]] constexpr std::uint32_t size() const noexcept { return end - begin; }
    [[nodiscard]] constexpr bool empty() const noexcept { return begin == end; }
    friend constexpr bool operator==(Range, Range) = default;
};

// One back-off step inside one shard: the rows whose contexts end in the last `n` tokens read.
// `n` is the greatest length that has this range.
struct Level {
    std::uint32_t n = 0;
    Range range;
};

// The code that separates documents. It starts every shard and is never part of a query.
inline constexpr std::uint32_t boundary = 0;

// The columns contradict each other: the index on disk was changed after it was built.
struct CorruptIndex : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A caller's argument is outside its range.
struct InvalidParameter : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

// The compact layout of an index has not got what was asked of it.
struct NeedsFastLayout : std::runtime_error {
    using std::runtime_error::runtime_error;
};

[[noreturn]] inline void throw_needs_fast(const char* column) {
    throw NeedsFastLayout(
        std::string("this index has the compact layout, without the column '") + column +
        "': it counts, finds and generates with SBIS. For all else make one of the fast layout: "
        "`infgram convert INDEX OUT --layout fast`.");
}

// An index of several segments cannot be asked this before they are merged.
struct NeedsMerge : std::runtime_error {
    using std::runtime_error::runtime_error;
};

[[noreturn]] inline void throw_needs_merge() {
    throw NeedsMerge(
        "this index has grown and is in several segments: it counts, finds and generates with "
        "SBIS. For all else make one of them: `infgram merge -i INDEX --purge`.");
}

[[noreturn]] inline void throw_corrupt(const char* column) {
    throw CorruptIndex(
        std::string("the column '") + column +
        "' of this index contradicts the others: the file was changed after the build. "
        "Run `infgram verify` on the index and build it again.");
}

}  // namespace infgram
