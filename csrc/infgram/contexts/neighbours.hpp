// What neighbouring rows share, and with it the next wider level of a context.
//
// A level is a node of the suffix tree of the reversed text and the next wider one is its parent:
// of the rows outside the range, those next to its ends share the most with it, and the parent
// holds all that share as much. There are two ways to find it:
//
// wider        compares contexts in the text: O(log rows gained) comparisons, each a cache miss or
//              two. Needs nothing that an index has not got.
// Neighbours   a byte a row in memory, which tells how much each row shares with the row before
//              it: mostly one comparison of 64 bytes on either side. Made from `next` and `same` in
//              one pass, a few nanoseconds a row.
//
// LazyNeighbours makes the tables of an index when they pay.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "infgram/rows/match64.hpp"
#include "infgram/rows/prefetch.hpp"
#include "infgram/rows/shard.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

// The next wider level; n = 0 where no other row shares a token. Either end is searched for by
// steps that double.
template <class Code>
[[nodiscard]] Level wider(const Shard<Code>& shard, const Level& level) {
    const auto [first, last] = level.range;
    const std::uint32_t most = level.n - 1;  // a row that shared all n would be in the range
    const std::uint32_t before = first > 0 ? shard.shared(first, first - 1, most) : 0;
    const std::uint32_t behind = last < shard.n_rows() ? shard.shared(first, last, most) : 0;
    const std::uint32_t n = std::max(before, behind);
    // How many of `most_rows` rows share n tokens: the first does, and those that do come first.
    const auto count = [&](Row most_rows, auto&& row) {
        const auto shares = [&](Row i) { return shard.shared(first, row(i), n) == n; };
        Row rows = 1;
        Row step = 1;
        for (; most_rows - rows >= step && shares(rows + step - 1); step *= 2) rows += step;
        while ((step /= 2) != 0)
            if (most_rows - rows >= step && shares(rows + step - 1)) rows += step;
        return rows;
    };
    Level found{n, level.range};
    if (n == 0) return found;
    if (before == n) found.range.begin -= count(first, [&](Row i) { return first - 1 - i; });
    if (behind == n)
        found.range.end += count(shard.n_rows() - last, [&](Row i) { return last + i; });
    return found;
}

// Writes how many tokens each row shares with the row before it, at most 255: of the rows that have
// the same next token, `same` tells what two neighbours share, and what they share, their images
// share with a token more. Images of a token's rows fill its bucket in order. shared: zeros, one
// for each row and more. O(n_rows). Throws CorruptIndex.
template <class Code>
void share_with_before(const Shard<Code>& shard, std::span<std::uint8_t> shared) {
    std::vector<Row> image(shard.n_codes());
    for (std::uint32_t code = 0; code < image.size(); ++code)
        image[code] = shard.bucket(code).begin;
    image[boundary] += 1;  // row 0 is the first position, which is nobody's image
    const Code* next = shard.next();
    const std::uint8_t* same = shard.same();
    for (Row row = 0; row < shard.n_rows(); ++row) {
        const std::uint32_t code = next[row];
        if (row == shard.end_row()) continue;
        if (code >= image.size() || image[code] >= shard.bucket(code).end) throw_corrupt("next");
        shared[image[code]++] = same[row];
    }
}

// Owns its table. Thread-safety: const methods may run in parallel.
class Neighbours {
public:
    template <class Code>
    explicit Neighbours(const Shard<Code>& shard)
        : shared_(std::size_t{shard.n_rows()} + 1 + padding_bytes) {
        share_with_before(shard, std::span(shared_));
    }

    // As the function above, which it falls back to where much is shared or many rows are gained.
    template <class Code>
    [[nodiscard]] Level wider(const Shard<Code>& shard, const Level& level) const {
        const std::uint8_t n = std::max(shared_[level.range.begin], shared_[level.range.end]);
        if (n == 0) return {0, level.range};
        if (n != saturated) {
            Level found{n, level.range};
            if (go_back(found) && go_on(found)) {
                if (n >= level.n) throw_corrupt("same");
                return found;
            }
        }
        return infgram::wider(shard, level);
    }

    // Asks for the memory that `wider` reads first of a range that begins there.
    void prefetch(Row row) const noexcept { infgram::prefetch(&shared_[row]); }

private:
    static constexpr std::uint8_t saturated = 255;
    static constexpr int most_blocks = 64;  // of 64 rows; the text is quicker where there are more

    // Moves an end of the range to the nearest row that shares less than n tokens with the row
    // before it. False if that is too far away. The table begins and ends with such a row.
    [[nodiscard]] bool go_back(Level& level) const noexcept {
        std::size_t end = std::size_t{level.range.begin} + 1;
        for (int i = 0; i < most_blocks; ++i) {
            const std::size_t start = end < 64 ? 0 : end - 64;
            const std::uint64_t stops =
                below64(&shared_[start], static_cast<std::uint8_t>(level.n)) &
                low_bits(static_cast<std::uint32_t>(end - start));
            if (stops != 0) {
                level.range.begin =
                    static_cast<Row>(start) + 63 - static_cast<Row>(std::countl_zero(stops));
                return true;
            }
            end = start;
        }
        return false;
    }
    [[nodiscard]] bool go_on(Level& level) const noexcept {
        std::size_t start = level.range.end;
        for (int i = 0; i < most_blocks; ++i, start += 64) {
            const std::uint64_t stops =
                below64(&shared_[start], static_cast<std::uint8_t>(level.n));
            if (stops != 0) {
                level.range.end =
                    static_cast<Row>(start) + static_cast<Row>(std::countr_zero(stops));
                return true;
            }
        }
        return false;
    }

    std::vector<std::uint8_t> shared_;  // tokens shared with the row before; 0 behind the last row
};

// The tables of an index, made when they pay. Thread-safety: all methods may run in parallel.
class LazyNeighbours {
public:
    // Tells that n more tokens are drawn. A table a shard once they are many, until then none.
    template <class Code>
    [[nodiscard]] std::span<const Neighbours> after(std::span<const Shard<Code>> shards,
                                                    std::uint64_t n_tokens) {
        std::uint64_t n_rows = 0;
        for (const auto& shard : shards) n_rows += shard.n_rows();
        const std::uint64_t n_drawn = n_drawn_.fetch_add(n_tokens) + n_tokens;
        if (n_rows > most_rows || n_drawn < n_rows / rows_a_token) return {};
        std::call_once(once_,
                       [&] { tables_ = std::vector<Neighbours>(shards.begin(), shards.end()); });
        return tables_;
    }

private:
    // A table takes a few nanoseconds a row and saves about a hundred a token, so whoever draws a
    // token for every 16 rows has the time back before as many more.
    static constexpr std::uint64_t rows_a_token = 16;
    // Beyond, memory is not taken unasked. A table takes an eighth of what the index maps.
    static constexpr std::uint64_t most_rows = 1u << 28;

    std::atomic<std::uint64_t> n_drawn_ = 0;
    std::once_flag once_;
    std::vector<Neighbours> tables_;
};

}  // namespace infgram
