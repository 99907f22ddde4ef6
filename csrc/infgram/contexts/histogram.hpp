// Next-token counts of ranges: a histogram that is dense to add to and sparse to read and clear.
//
// Not for two threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "infgram/rows/shard.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

class Histogram {
public:
    explicit Histogram(std::uint32_t n_codes) : counts_(n_codes, 0), seen_(n_codes + 1) {}

    [[nodiscard]] std::uint64_t operator[](std::uint32_t code) const noexcept {
        return counts_[code];
    }

    // Codes with a count above zero, in no order. O(n_codes) after many rows were added, else O(1).
    [[nodiscard]] std::span<const std::uint32_t> seen() noexcept {
        if (!listed_) list();
        return {seen_.data(), n_seen_};
    }

    // The same, rising.
    [[nodiscard]] std::span<const std::uint32_t> codes() {
        if (listed_ && n_seen_ * sparse < counts_.size())
            std::sort(seen_.begin(), seen_.begin() + static_cast<std::ptrdiff_t>(n_seen_));
        else
            list();
        return seen();
    }

    // O(codes seen).
    void clear() noexcept {
        for (const std::uint32_t code : seen()) counts_[code] = 0;
        n_seen_ = 0;
    }

    // Adds n occurrences of a code.
    void add(std::uint32_t code, std::uint64_t n) {
        // The place behind the last one seen is written in any case; a branch would be as good as
        // random.
        seen_[n_seen_] = code;
        n_seen_ += counts_[code] == 0 && n != 0 ? 1 : 0;
        counts_[code] += n;
    }

    // Adds the next tokens of the range's rows, the boundary among them. O(range), or for
    // byte-wide codes and in the compact layout O(block + n_codes), and for the whole shard
    // O(n_codes).
    template <class Code>
    void add(const Shard<Code>& shard, Range range) {
        if (range == shard.all()) {
            for (std::uint32_t code = 0; code < shard.n_codes(); ++code)
                add(code, shard.bucket(code).size());
        } else if (shard.is_compact()) {
            shard.rank().compact().count(range, [&](std::uint32_t code, Row n) { add(code, n); });
        } else if constexpr (sizeof(Code) == 1) {
            add_blocks(shard, range);
        } else {
            add_rows(shard, range);
        }
        // The end of the text stands in `next` as a boundary.
        const std::uint32_t n_silent = shard.n_silent(range);
        if (n_silent == 0) return;
        if (counts_[boundary] < n_silent) throw_corrupt("next");
        if ((counts_[boundary] -= n_silent) == 0) {
            const auto end = seen_.begin() + static_cast<std::ptrdiff_t>(seen().size());
            n_seen_ =
                static_cast<std::size_t>(std::remove(seen_.begin(), end, boundary) - seen_.begin());
        }
    }

    // Adds those of ranges, one a shard; of shards that hold what was removed they are taken away.
    template <class Code>
    void add(std::span<const Shard<Code>> shards, std::span<const Range> ranges) {
        std::optional<Histogram> removed;
        for (std::size_t s = 0; s < shards.size(); ++s) {
            if (ranges[s].empty()) continue;
            if (!shards[s].is_removed())
                add(shards[s], ranges[s]);
            else
                (removed ? *removed : removed.emplace(n_codes())).add(shards[s], ranges[s]);
        }
        if (!removed) return;
        for (const std::uint32_t code : removed->seen()) {
            if (counts_[code] < (*removed)[code]) throw_corrupt("next");
            counts_[code] -= (*removed)[code];
        }
        list();
    }

private:
    [[nodiscard]] std::uint32_t n_codes() const noexcept {
        return static_cast<std::uint32_t>(counts_.size());
    }

    template <class Code>
    void add_rows(const Shard<Code>& shard, Range range) {
        const auto code = [&](Row row) {
            const std::uint32_t found = shard.next()[row];
            if (found >= counts_.size()) throw_corrupt("next");
            return found;
        };
        if (range.size() * sparse < counts_.size()) {
            for (Row row = range.begin; row != range.end; ++row) add(code(row), 1);
        } else {
            for (Row row = range.begin; row != range.end; ++row) ++counts_[code(row)];
            listed_ = false;
        }
    }

    void add_blocks(const Shard<std::uint8_t>& shard, Range range) {
        const auto& rank = shard.rank().fast();
        const std::uint32_t log_rows = rank.log_block_rows();
        const std::uint32_t first = (range.begin + (1u << log_rows) - 1) >> log_rows;
        const std::uint32_t last = range.end >> log_rows;
        if (first >= last) return add_rows(shard, range);
        std::uint64_t n_rows = 0;
        for (std::uint32_t code = 0; code < shard.n_codes(); ++code) {
            const Row before = rank.at_block(code, first);
            const Row after = rank.at_block(code, last);
            if (after < before) throw_corrupt("rank_blocks");
            n_rows += after - before;
            add(code, after - before);
        }
        if (n_rows != (last - first) << log_rows) throw_corrupt("rank_blocks");
        add_rows(shard, {range.begin, first << log_rows});
        add_rows(shard, {last << log_rows, range.end});
    }

    // Finds the codes seen, in order, by looking at every count. Where they are not much fewer than
    // there are, that is quicker than to sort them or to note each when it comes: no branch.
    void list() noexcept {
        n_seen_ = 0;
        for (std::uint32_t code = 0; code < counts_.size(); ++code) {
            seen_[n_seen_] = code;
            n_seen_ += counts_[code] != 0 ? 1 : 0;
        }
        listed_ = true;
    }

    static constexpr std::size_t sparse = 8;  // there are so many times as many codes

    std::vector<std::uint64_t> counts_;
    std::vector<std::uint32_t> seen_;  // the first n_seen_ of it, if listed_
    std::size_t n_seen_ = 0;
    bool listed_ = true;
};

}  // namespace infgram
