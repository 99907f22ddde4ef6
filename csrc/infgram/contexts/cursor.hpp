// A cursor: all levels of a context, asked from outside, and moved on token by token.
//
// Thread-safety: all methods may run in parallel; they take turns, and each answers of one state.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/chain.hpp"
#include "infgram/contexts/continuation.hpp"
#include "infgram/contexts/histogram.hpp"
#include "infgram/contexts/index.hpp"
#include "infgram/contexts/neighbours.hpp"

namespace infgram {

// An index, what it borrows, and what is made from it while it is open.
template <class Code>
struct OpenIndex {
    // columns: whatever keeps the memory that the index borrows.
    OpenIndex(Index<Code> borrower, std::shared_ptr<const void> columns)
        : borrowed(std::move(columns)), index(std::move(borrower)) {}

    std::shared_ptr<const void> borrowed;
    Index<Code> index;
    mutable LazyNeighbours neighbours;  // made with use, by whichever thread
};

template <class Code>
using Owner = std::shared_ptr<const OpenIndex<Code>>;

// All that a level knows of its next tokens, in the order of codes.
struct LevelReading {
    std::uint32_t n = 0;
    std::uint64_t m = 0;
    std::vector<std::uint32_t> token_ids;
    std::vector<std::int64_t> counts;
    std::vector<std::uint32_t> contexts;  // different ones, one token longer
    std::vector<double> passed;           // what they pass on
};

template <class Code>
class Cursor {
public:
    Cursor(Owner<Code> owner, std::vector<Chain> chains, std::uint32_t window)
        : owner_(std::move(owner)), chains_(std::move(chains)), window_(window) {
        for (Chain& chain : chains_) trim(chain, window_);
    }
    Cursor(const Cursor& other) : Cursor(other.owner_, other.chains(), other.window_) {}
    Cursor& operator=(const Cursor&) = delete;

    [[nodiscard]] const Owner<Code>& owner() const noexcept { return owner_; }
    [[nodiscard]] std::uint32_t window() const noexcept { return window_; }
    [[nodiscard]] std::vector<Chain> chains() const {
        const std::scoped_lock lock(mutex_);
        return chains_;
    }

    template <class Token>
    void read(std::span<const Token> tokens) {
        const std::scoped_lock lock(mutex_);
        for (const Token token : tokens) index().advance_chains(chains_, token, window_);
    }
    void start_document() {
        const std::scoped_lock lock(mutex_);
        chains_ = index().start_of_document();
    }

    [[nodiscard]] std::vector<IndexLevel> levels() const {
        const std::scoped_lock lock(mutex_);
        return index().levels(chains_);
    }

    // The i-th level's n and next-token counts; those of all tokens where i is the number of
    // levels.
    [[nodiscard]] std::pair<std::uint32_t, Histogram> next_tokens(std::size_t i) const {
        const std::scoped_lock lock(mutex_);
        const auto levels = rows(index().parts(), i, 1);
        return {levels[0].n, index().next_tokens(levels[0].ranges)};
    }

    // What follows each match of the i-th level, in the order of rows, which is that of shards
    // first. O(rows). Throws NeedsMerge where documents were removed.
    [[nodiscard]] std::vector<std::uint32_t> following(std::size_t i) const {
        const std::scoped_lock lock(mutex_);
        std::vector<std::uint32_t> found;
        const auto shards = index().additive();
        const Rows level = rows(shards, i, 1)[0];
        for (std::size_t s = 0; s < shards.size(); ++s)
            for (Row row = level.ranges[s].begin; row < level.ranges[s].end; ++row) {
                if (shards[s].is_silent(row)) continue;
                found.push_back(index().alphabet().token_id(shards[s].next_code(row)));
            }
        return found;
    }

    // All levels, the empty context last, read as one, each shard apart. O(rows).
    [[nodiscard]] std::vector<LevelReading> read_levels(double exponent) const {
        const std::scoped_lock lock(mutex_);
        ContinuationCounter counter(index().alphabet().n_codes(), FixedPower(exponent));
        std::vector<LevelReading> readings;
        for (const Rows& level : rows(index().apart(), 0, ~std::size_t{0}))
            readings.push_back(read(level, counter));
        return readings;
    }

    // Four numbers a level: shard, n, begin, end.
    [[nodiscard]] std::vector<std::int64_t> state() const {
        std::vector<std::int64_t> flat;
        const std::vector<Chain> chains = this->chains();
        for (std::size_t s = 0; s < chains.size(); ++s)
            for (const Level& level : chains[s])
                flat.insert(flat.end(), {static_cast<std::int64_t>(s), level.n, level.range.begin,
                                         level.range.end});
        return flat;
    }

    // The chains of such a state, which may come from anywhere.
    static std::vector<Chain> chains_of(const Index<Code>& index,
                                        std::span<const std::int64_t> state, std::uint32_t window) {
        const auto shards = index.parts();
        std::vector<Chain> chains(shards.size());
        if (state.size() % 4 != 0) throw InvalidParameter("not the state of a cursor");
        for (std::size_t i = 0; i < state.size(); i += 4) {
            const std::int64_t s = state[i];
            const std::int64_t n = state[i + 1];
            const std::int64_t begin = state[i + 2];
            const std::int64_t end = state[i + 3];
            if (s < 0 || s >= static_cast<std::int64_t>(shards.size()) || n < 1 || n > window ||
                begin < 0 || begin >= end || end > shards[static_cast<std::size_t>(s)].n_rows())
                throw InvalidParameter("not the state of a cursor of this index");
            Chain& chain = chains[static_cast<std::size_t>(s)];
            const Level level{static_cast<std::uint32_t>(n),
                              {static_cast<Row>(begin), static_cast<Row>(end)}};
            if (!chain.empty() && !is_wider(level, chain.back()))
                throw InvalidParameter("not the state of a cursor: its levels are out of order");
            chain.push_back(level);
        }
        return chains;
    }

private:
    // A level: tokens of context, and one range a shard.
    struct Rows {
        std::uint32_t n = 0;
        std::vector<Range> ranges;
    };

    [[nodiscard]] const Index<Code>& index() const noexcept { return owner_->index; }

    // Up to so many levels from the first one on, the empty context behind them all.
    [[nodiscard]] std::vector<Rows> rows(std::span<const Shard<Code>> shards, std::size_t first,
                                         std::size_t most) const {
        std::vector<Rows> found;
        std::vector<Range> scratch;
        std::size_t i = 0;
        for_each_level(shards, std::span<const Chain>(chains_), -1, scratch,
                       [&](std::uint32_t n, std::uint64_t, std::span<const Range> at) {
                           if (i++ >= first && found.size() < most)
                               found.push_back({n, {at.begin(), at.end()}});
                       });
        if (first > i)
            throw InvalidParameter("level is " + std::to_string(first) + ", expected 0 to " +
                                   std::to_string(i));
        if (found.size() < most) found.push_back({0, index().everything()});
        return found;
    }

    [[nodiscard]] LevelReading read(const Rows& level, ContinuationCounter& counter) const {
        LevelReading reading;
        const auto shards = index().apart();
        Histogram counts(index().alphabet().n_codes());
        counts.add(shards, std::span<const Range>(level.ranges));
        for (std::size_t s = 0; s < shards.size(); ++s)
            if (!level.ranges[s].empty())
                counter.add(shards[s], level.ranges[s], std::min(level.n, max_context));
        ContinuationTable table;
        counter.finish(table);
        reading.n = level.n;
        reading.m = table.m;
        for (const Continuation& token : table.tokens) {
            reading.token_ids.push_back(index().alphabet().token_id(token.code));
            reading.counts.push_back(static_cast<std::int64_t>(counts[token.code]));
            reading.contexts.push_back(token.contexts);
            reading.passed.push_back(token.count);
        }
        // Both are of the same rows, counted in different ways.
        const auto codes = counts.codes();
        if (!std::ranges::equal(codes, table.tokens, {}, {}, &Continuation::code))
            throw_corrupt("rank_blocks");
        return reading;
    }

    Owner<Code> owner_;
    std::vector<Chain> chains_;
    std::uint32_t window_;
    mutable std::mutex mutex_;
};

}  // namespace infgram
