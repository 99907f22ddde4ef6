// Next-token counts of ranges: a histogram that is dense to add to and sparse to read and clear.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/shard.hpp"
#include "infgram/types.hpp"

namespace infgram {

class Histogram {
public:
    explicit Histogram(std::uint32_t n_codes) : counts_(n_codes, 0), seen_(n_codes + 1) {}

    [[nodiscard]] std::uint64_t operator[](std::uint32_t code) const noexcept {
        return counts_[code];
    }

    // Codes with a count above zero, in no order.
    [[nodiscard]] std::span<const std::uint32_t> seen() const noexcept {
        return {seen_.data(), n_seen_};
    }

    // The same, rising.
    [[nodiscard]] std::span<const std::uint32_t> codes() {
        if (n_seen_ > few) {
            std::sort(seen_.begin(), seen_.begin() + static_cast<std::ptrdiff_t>(n_seen_));
        } else {  // insertion: most contexts are followed by a handful of tokens
            for (std::size_t i = 1; i < n_seen_; ++i)
                for (std::size_t j = i; j > 0 && seen_[j - 1] > seen_[j]; --j)
                    std::swap(seen_[j - 1], seen_[j]);
        }
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
    // byte-wide codes O(block + n_codes), and for the whole shard O(n_codes).
    template <class Code>
    void add(const Shard<Code>& shard, Range range) {
        if (range == shard.all()) {
            for (std::uint32_t code = 0; code < shard.n_codes(); ++code)
                add(code, shard.bucket(code).size());
        } else if constexpr (sizeof(Code) == 1) {
            add_blocks(shard, range);
        } else {
            add_rows(shard, range);
        }
        // The end of the text stands in `next` as a boundary.
        if (shard.has_end(range) && --counts_[boundary] == 0) {
            const auto end = seen_.begin() + static_cast<std::ptrdiff_t>(n_seen_--);
            std::remove(seen_.begin(), end, boundary);
        }
    }

private:
    template <class Code>
    void add_rows(const Shard<Code>& shard, Range range) {
        const Code* next = shard.next();
        for (Row row = range.begin; row != range.end; ++row) {
            const std::uint32_t code = next[row];
            if (code >= counts_.size()) throw_corrupt("next");
            add(code, 1);
        }
    }

    void add_blocks(const Shard<std::uint8_t>& shard, Range range) {
        const auto& rank = shard.rank();
        const std::uint32_t log_rows = rank.log_block_rows();
        const std::uint32_t first = (range.begin + (1u << log_rows) - 1) >> log_rows;
        const std::uint32_t last = range.end >> log_rows;
        if (first >= last) return add_rows(shard, range);
        for (std::uint32_t code = 0; code < shard.n_codes(); ++code) {
            const Row before = rank.at_block(code, first);
            const Row after = rank.at_block(code, last);
            if (after < before) throw_corrupt("rank_blocks");
            add(code, after - before);
        }
        add_rows(shard, {range.begin, first << log_rows});
        add_rows(shard, {last << log_rows, range.end});
    }

    static constexpr std::size_t few = 24;

    std::vector<std::uint64_t> counts_;
    std::vector<std::uint32_t> seen_;  // the first n_seen_ of it
    std::size_t n_seen_ = 0;
};

}  // namespace infgram
