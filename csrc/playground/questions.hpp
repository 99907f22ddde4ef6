// What a page asks of a text: the levels of a context, the spans of a passage, where bytes stand.
// Answers are numbers in a row, as JavaScript reads them.
//
// Threads may call all of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/spans.hpp"
#include "playground/text.hpp"

namespace infgram::playground {

using Bytes = std::span<const std::uint8_t>;
using Numbers = std::vector<double>;

inline constexpr std::uint32_t level_window = 1000;  // bytes of a context that are looked at
inline constexpr std::size_t most_levels = 60;       // beside that of all bytes
inline constexpr std::size_t most_tokens = 8;        // of a level
inline constexpr std::uint32_t most_places = 3;

// The first levels of a context, longest first, and behind them the one of all bytes. Each is n, m,
// how many bytes are told, and so many pairs of a byte and its count, the most frequent first.
inline Numbers levels_of(const Text& text, Bytes context) {
    Numbers numbers;
    const auto& index = text.index();
    const auto tell = [&](std::uint32_t n, std::uint64_t m, std::span<const Range> ranges) {
        Histogram counts = index.next_tokens(ranges);
        const auto codes = counts.codes();
        std::vector<std::uint32_t> best(codes.begin(), codes.end());
        std::ranges::stable_sort(best, std::greater{}, [&](std::uint32_t c) { return counts[c]; });
        best.resize(std::min(best.size(), most_tokens));
        numbers.insert(numbers.end(), {static_cast<double>(n), static_cast<double>(m),
                                       static_cast<double>(best.size())});
        for (const std::uint32_t code : best)
            numbers.insert(numbers.end(), {static_cast<double>(index.alphabet().token_id(code)),
                                           static_cast<double>(counts[code])});
    };
    std::vector<Chain> chains = index.chains(context);
    trim(chains[0], level_window);
    std::vector<Range> ranges;
    for_each_level(index.shards(), std::span<const Chain>(chains), static_cast<int>(most_levels),
                   ranges, tell);
    const auto everything = index.everything();
    tell(0, index.shard(0).m(everything[0]), everything);
    return numbers;
}

// How many rows there are, how many places are told, and so many of them, rising: bytes of the text
// at which the n bytes begin that the rows share. They are spread evenly over the rows.
inline void tell_places(const Text& text, Range rows, std::uint32_t n, Numbers& numbers) {
    const std::uint32_t told = std::min(rows.size(), most_places);
    numbers.insert(numbers.end(), {static_cast<double>(rows.size()), static_cast<double>(told)});
    for (std::uint32_t i = 0; i < told; ++i) {
        const std::uint64_t at = std::uint64_t{i} * (rows.size() - 1) / std::max(told - 1, 1u);
        const Row row = rows.begin + static_cast<Row>(at);
        // a boundary stands before the text
        numbers.push_back(static_cast<double>(text.index().shard(0).position(row) - n - 1));
    }
    std::sort(numbers.end() - static_cast<std::ptrdiff_t>(told), numbers.end());
}

// The places of some bytes.
inline Numbers places_of(const Text& text, Bytes bytes) {
    Numbers numbers;
    tell_places(text, text.index().find(bytes)[0], static_cast<std::uint32_t>(bytes.size()),
                numbers);
    return numbers;
}

// The maximal spans of a passage in UTF-8 that cut no character in two, of `least` bytes or more.
// Each is its begin and its end, in bytes of the passage, and its places.
inline Numbers spans_of(const Text& text, Bytes passage, std::uint32_t least) {
    const auto n = static_cast<std::uint32_t>(passage.size());
    const auto is_cut = [&](std::uint32_t i) { return i < n && (passage[i] & 0xc0) == 0x80; };
    std::vector<std::uint32_t> begins(std::size_t{n} + 1, n);
    std::vector<std::uint32_t> earliest(n);
    for (std::uint32_t i = n; i-- > 0;) {
        begins[i] = is_cut(i) ? begins[i + 1] : i;
        earliest[i] = is_cut(i + 1) ? n : 0;
    }
    const Spans spans = maximal_spans(text.index(), passage, Places{begins, earliest});
    Numbers numbers;
    for (std::size_t i = 0; i < spans.bounds.size(); i += 2) {
        const std::uint32_t begin = spans.bounds[i];
        const std::uint32_t end = spans.bounds[i + 1];
        if (end - begin < least) continue;
        numbers.insert(numbers.end(), {static_cast<double>(begin), static_cast<double>(end)});
        tell_places(text, {spans.rows[i], spans.rows[i + 1]}, end - begin, numbers);
    }
    return numbers;
}

}  // namespace infgram::playground
