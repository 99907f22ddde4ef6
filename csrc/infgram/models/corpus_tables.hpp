// Continuation tables of ranges of the corpus: counted, or from a cache where they were before, or
// kept with the index where they are wide.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "infgram/contexts/continuation.hpp"
#include "infgram/models/tables.hpp"
#include "infgram/models/wide_tables.hpp"
#include "infgram/rows/prefetch.hpp"
#include "infgram/rows/shard.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

// Not for two threads; the cache may be shared by several.
template <class Code>
class CorpusTables {
public:
    // wide: of the same shards and power, if there are any. Borrows both.
    CorpusTables(std::uint32_t n_codes, const FixedPower& power, TableCache& cache,
                 const WideTables* wide)
        : counter_(n_codes, power), power_(power), cache_(&cache), wide_(wide) {}

    // From now on, of ranges of more than most_rows rows evenly spaced parts alone are counted, so
    // many rows of them.
    void sample(std::uint32_t most_rows) noexcept { most_rows_ = most_rows; }

    // From now on, tables of more than `many` tokens tell which n have the largest counts.
    void find_heaviest(std::size_t n, std::size_t many) noexcept {
        n_heaviest_ = n;
        many_ = many;
    }

    // From now on, counts as if positions of a shard were not in the corpus. Ranges of more than
    // `widest` rows keep them: few of so many would be missing.
    void hold_out(HeldOut held_out, std::size_t shard, std::uint64_t n_rows,
                  std::optional<std::uint32_t> widest) {
        held_out_ = held_out;
        held_out_shard_ = shard;
        held_out_cache_ = std::make_unique<TableCache>(n_rows, held_out_cache_bytes);
        held_out_rows_ = widest.value_or(held_out_rows);
    }

    // Gives back the tables that were not kept: pointers to them are good until then.
    void clear() noexcept { n_scratch_ = 0; }

    // Asks memory for what `of` with these arguments reads first.
    void prefetch(std::span<const Shard<Code>> shards, std::uint32_t n,
                  std::span<const Range> ranges, std::uint64_t m) const noexcept {
        if (is_kept(m)) return cache_of(m).prefetch(std::min(n, max_context), ranges);
        for (std::size_t s = 0; s < shards.size(); ++s) {
            if (ranges[s].empty()) continue;
            infgram::prefetch(shards[s].next() + ranges[s].begin);
            infgram::prefetch(shards[s].same() + ranges[s].begin);
        }
    }

    // And what that leads to: called once memory may have brought it.
    void prefetch_table(std::uint32_t n, std::span<const Range> ranges,
                        std::uint64_t m) const noexcept {
        if (is_kept(m)) cache_of(m).prefetch_table(std::min(n, max_context), ranges);
    }

    // The table of the rows that share n tokens, one range a shard, m of them with a next token.
    const ContinuationTable* of(std::span<const Shard<Code>> shards, std::uint32_t n,
                                std::span<const Range> ranges, std::uint64_t m) {
        n = std::min(n, max_context);
        const bool leave_out = leaves_out(m);
        TableCache& cache = cache_of(m);
        const bool keep = is_kept(m);
        if (keep)
            if (const auto* known = cache.find(n, ranges)) return known;
        if (n_scratch_ == scratch_.size())
            scratch_.push_back(std::make_unique<ContinuationTable>());
        ContinuationTable& table = *scratch_[n_scratch_++];
        if (m == 1 && shards.size() == 1 && ranges[0].size() == 1 && !leave_out) {
            const std::uint32_t code = shards[0].next()[ranges[0].begin];
            if (code >= shards[0].n_codes()) throw_corrupt("next");
            table.clear();
            table.append({code, 1, 1.0, 1});
            table.m = 1;
            return &table;
        }
        if (shards.size() == 1 && ranges[0].size() <= few_rows && !leave_out) {
            counter_.count_few(shards[0], ranges[0], n, table);
        } else {
            for (std::size_t s = 0; s < shards.size(); ++s)
                if (!ranges[s].empty())
                    add(shards[s], s, ranges[s], n,
                        leave_out && s == held_out_shard_ ? held_out_ : HeldOut{});
            counter_.finish(table);
        }
        if (!leave_out) table.m = m;
        if (table.tokens.size() > many_) find_heaviest(table);
        if (keep) cache.insert(n, ranges, table);
        return &table;
    }

private:
    [[nodiscard]] static bool is_kept(std::uint64_t m) noexcept {
        return m > TableCache::narrow_rows;
    }
    [[nodiscard]] bool leaves_out(std::uint64_t m) const noexcept {
        return held_out_.any() && m <= held_out_rows_;
    }
    [[nodiscard]] TableCache& cache_of(std::uint64_t m) const noexcept {
        return leaves_out(m) ? *held_out_cache_ : *cache_;
    }

    void add(const Shard<Code>& shard, std::size_t s, Range range, std::uint32_t n,
             HeldOut held_out) {
        if (wide_ != nullptr && !held_out.any() && range.size() > few_rows &&
            wide_->add(shard, s, range, n, power_, counter_))
            return;
        counter_.add_sample(shard, range, n, held_out, most_rows_);
    }

    void find_heaviest(ContinuationTable& table) {
        order_.resize(table.tokens.size());
        std::iota(order_.begin(), order_.end(), std::uint32_t{0});
        const auto middle = order_.begin() + static_cast<std::ptrdiff_t>(n_heaviest_);
        // The first of equals, or each standard library would take others.
        std::ranges::partial_sort(order_, middle, [&](std::uint32_t a, std::uint32_t b) {
            const auto of_a = table.tokens[a].count;
            const auto of_b = table.tokens[b].count;
            return of_a != of_b ? of_a > of_b : a < b;
        });
        table.heaviest.assign(order_.begin(), middle);
    }

    static constexpr std::uint32_t few_rows = 64;  // are faster counted by sorting them
    static constexpr std::uint32_t all_rows = std::numeric_limits<std::uint32_t>::max();
    static constexpr std::uint32_t held_out_rows = 1u << 14;
    static constexpr std::size_t held_out_cache_bytes = std::size_t{1} << 26;

    ContinuationCounter counter_;
    FixedPower power_;
    TableCache* cache_;
    const WideTables* wide_;
    std::uint32_t most_rows_ = all_rows;
    std::size_t n_heaviest_ = 0;
    std::size_t many_ = std::numeric_limits<std::size_t>::max();
    std::vector<std::uint32_t> order_;
    std::vector<std::unique_ptr<ContinuationTable>> scratch_;
    std::size_t n_scratch_ = 0;
    HeldOut held_out_;
    std::size_t held_out_shard_ = 0;
    std::uint32_t held_out_rows_ = 0;
    std::unique_ptr<TableCache> held_out_cache_;
};

}  // namespace infgram
