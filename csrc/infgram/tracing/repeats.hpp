// What stands in a corpus more than once: which tokens lie in a window of a given length that
// occurs earlier, in the same shard or in one before it.
//
// Threads may call it in parallel: it borrows the index and has its own memory, three bits a row.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/chain.hpp"
#include "infgram/contexts/index.hpp"

namespace infgram {

namespace detail {

// Whether each row shares its last `length` tokens of context with the row before it. What a row
// shares with the nearest earlier one of the same next token, `same` tells of their images, which
// are neighbours. Rows whose context ends in a boundary are left out.
template <class Code>
std::vector<bool> rows_that_share(const Shard<Code>& shard, std::uint32_t length) {
    constexpr std::uint32_t most_stored = 255;
    std::vector<bool> shares(shard.n_rows(), false);
    std::vector<Row> image(shard.n_codes());
    for (std::uint32_t code = 0; code < shard.n_codes(); ++code)
        image[code] = shard.bucket(code).begin;
    for (Row row = 0; row < shard.n_rows(); ++row) {
        const std::uint32_t code = shard.next()[row];
        if (code >= shard.n_codes()) throw_corrupt("next");
        if (code == boundary) continue;
        const Row to = image[code]++;
        if (to >= shard.bucket(code).end) throw_corrupt("next");
        if (shard.same()[row] < std::min(length, most_stored)) continue;
        if (to == 0) throw_corrupt("same");
        shares[to] = length <= most_stored || shard.shared(to, to - 1, length) == length;
    }
    return shares;
}

// Marks the ends of windows that occur earlier in the shard.
template <class Code>
void mark_repeats(const Shard<Code>& shard, std::uint32_t length, std::vector<bool>& ends) {
    const std::vector<bool> shares = rows_that_share(shard, length);
    const auto text = shard.text();
    for (Row begin = 0; begin < shard.n_rows();) {
        Row end = begin + 1;
        while (end < shard.n_rows() && shares[end]) ++end;
        const Position some = shard.position(begin);
        if (end - begin > 1 && some >= length &&
            std::ranges::find(text.subspan(some - length, length), Code{boundary}) ==
                text.subspan(some - length, length).end()) {
            Position first = some;
            for (Row row = begin; row != end; ++row) first = std::min(first, shard.position(row));
            for (Row row = begin; row != end; ++row)
                if (shard.position(row) != first) ends[shard.position(row)] = true;
        }
        begin = end;
    }
}

// Marks the ends of windows that occur in one of these shards. O(levels) ranks a token and shard.
template <class Code>
void mark_matches(const Shard<Code>& shard, std::span<const Shard<Code>> others,
                  std::uint32_t length, std::vector<bool>& ends) {
    if (others.empty()) return;
    std::vector<Chain> chains(others.size());
    for (Position p = 0; p < shard.n_rows(); ++p) {
        const std::uint32_t code = shard.code_at(p);
        advance_all(others, std::span<Chain>(chains), code == boundary ? Alphabet::unknown : code,
                    length);
        for (const Chain& chain : chains)
            if (!chain.empty() && chain.front().n >= length) ends[p + 1] = true;
    }
}

}  // namespace detail

// Of a shard, [begin, end) positions of the tokens that lie in such windows, rising, apart from
// each other. Of each window, the first in the order of the corpus is in none for its sake.
template <class Code>
std::vector<std::pair<Position, Position>> repeats(const Index<Code>& index, std::size_t s,
                                                   std::uint32_t length) {
    if (length == 0) throw InvalidParameter("a repeat has at least one token");
    const Shard<Code>& shard = index.shard(s);
    std::vector<bool> ends(std::size_t{shard.n_rows()} + 1, false);
    detail::mark_repeats(shard, length, ends);
    detail::mark_matches(shard, index.shards().first(s), length, ends);
    std::vector<std::pair<Position, Position>> spans;
    for (Position end = length; end <= shard.n_rows(); ++end) {
        if (!ends[end]) continue;
        if (spans.empty() || spans.back().second < end - length)
            spans.emplace_back(end - length, end);
        else
            spans.back().second = end;
    }
    return spans;
}

}  // namespace infgram
