// Continuation tables of wide contexts, those of many rows: all of a corpus are counted in one pass
// and kept with the index, so that nobody waits for them.
//
// A context is a range of rows, and what it has of a token is the root of a tree of the token's
// rows (continuation.hpp). The trees of a narrower context are parts of those of a wider one around
// it, so every row is read once, however many contexts it lies in.
//
// Immutable: threads may share it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/continuation.hpp"
#include "infgram/contexts/neighbours.hpp"
#include "infgram/rows/numbers.hpp"
#include "infgram/rows/shard.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

[[noreturn]] inline void throw_wide_damaged() {
    throw CorruptIndex("continuations.npz of this index is damaged: run `infgram calibrate`");
}

// The tables of an index, as they are kept: docs/format.md.
struct WideColumns {
    std::span<const std::uint64_t> shards;   // those of each shard begin there, and the end
    std::span<const std::uint32_t> ranges;   // begin and end, two a table; by rising ends, and of
                                             // those with one end by falling begins
    std::span<const std::uint8_t> depths;    // tokens that all rows share, at most max_context
    std::span<const std::uint64_t> offsets;  // in `tokens`: where each begins, and the end
    std::span<const std::uint8_t> tokens;    // by rising codes: how much above the code before,
                                             // matches, contexts, and where these differ the count
};

class WideTables {
public:
    // owner: keeps the columns, of which what steers a later read is checked when it is read.
    // Throws CorruptIndex.
    WideTables(const WideColumns& columns, std::shared_ptr<const void> owner)
        : columns_(columns), owner_(std::move(owner)) {
        const std::size_t n = columns.depths.size();
        if (columns.shards.empty() || columns.shards.front() != 0 || columns.shards.back() != n ||
            !std::ranges::is_sorted(columns.shards) || columns.ranges.size() != 2 * n ||
            columns.offsets.size() != n + 1)
            throw_wide_damaged();
    }

    [[nodiscard]] const WideColumns& columns() const noexcept { return columns_; }
    [[nodiscard]] std::size_t n_shards() const noexcept { return columns_.shards.size() - 1; }

    // Adds what the rows of a range pass on that share n tokens, n <= max_context, if it is kept.
    // O(log tables + tokens).
    template <class Code>
    [[nodiscard]] bool add(const Shard<Code>& shard, std::size_t shard_number, Range range,
                           std::uint32_t n, const FixedPower& power,
                           ContinuationCounter& counter) const {
        const auto at = find(shard_number, range);
        if (!at) return false;
        if (n > columns_.depths[*at]) throw_wide_damaged();
        // All longer contexts begin with the same tokens, if these rows share more than n.
        const bool is_inside = n < columns_.depths[*at];
        std::uint64_t m = 0;
        for_each(*at, shard.n_codes(), [&](Continuation token) {
            if (is_inside && token.contexts > 1) {
                token.contexts = 1;
                token.count = power(token.count);
            }
            m += token.matches;
            counter.add(token);
        });
        if (m != shard.m(range)) throw_wide_damaged();
        return true;
    }

private:
    [[nodiscard]] std::optional<std::size_t> find(std::size_t shard, Range range) const noexcept {
        std::size_t low = columns_.shards[shard];
        std::size_t high = columns_.shards[shard + 1];
        while (low < high) {
            const std::size_t middle = low + (high - low) / 2;
            const Range found{columns_.ranges[2 * middle], columns_.ranges[2 * middle + 1]};
            if (found == range) return middle;
            if (found.end < range.end || (found.end == range.end && found.begin > range.begin))
                low = middle + 1;
            else
                high = middle;
        }
        return std::nullopt;
    }

    template <class Visit>
    void for_each(std::size_t table, std::uint32_t n_codes, Visit&& visit) const {
        const std::uint64_t begin = columns_.offsets[table];
        const std::uint64_t end = columns_.offsets[table + 1];
        if (begin > end || end > columns_.tokens.size()) throw_wide_damaged();
        auto left = columns_.tokens.subspan(static_cast<std::size_t>(begin),
                                            static_cast<std::size_t>(end - begin));
        const auto number = [&] {
            std::uint64_t read = 0;
            if (!read_number(left, read) || read >> 32 != 0) throw_wide_damaged();
            return static_cast<std::uint32_t>(read);
        };
        for (std::uint64_t code = 0; !left.empty(); ++code) {
            code += number();
            const std::uint32_t matches = number();
            const std::uint32_t contexts = number();
            if (code >= n_codes || contexts == 0 || contexts > matches) throw_wide_damaged();
            double count = contexts;
            if (contexts != matches) {
                if (left.size() < 8) throw_wide_damaged();
                std::uint64_t bits = 0;
                for (std::size_t i = 0; i < 8; ++i) bits |= std::uint64_t{left[i]} << (8 * i);
                left = left.subspan(8);
                count = std::bit_cast<double>(bits);
                if (!(count >= contexts && count <= matches)) throw_wide_damaged();
            }
            visit(Continuation{static_cast<std::uint32_t>(code), contexts, count, matches});
        }
    }

    WideColumns columns_;
    std::shared_ptr<const void> owner_;
};

// Counts all contexts of at least least_rows rows of one shard after another.
class WideCounter {
public:
    WideCounter(const FixedPower& power, std::uint32_t least_rows)
        : power_(power), least_rows_(std::max(least_rows, 2u)) {}

    // O(n_rows), and a byte a row of memory while it counts. Throws CorruptIndex.
    template <class Code>
    void add(const Shard<Code>& shard) {
        const std::size_t first = depths_.size();
        find(shard);
        count(shard, first);
        shards_.push_back(depths_.size());
    }

    // What was counted. Good as long as this counter, which counts no more.
    [[nodiscard]] WideColumns columns() const noexcept {
        return {shards_, ranges_, depths_, offsets_, tokens_};
    }

private:
    // Ranges of rows that share more than those around them, each when its last row was seen.
    template <class Code>
    void find(const Shard<Code>& shard) {
        if (shard.n_rows() < least_rows_) return;
        std::vector<std::uint8_t> shared(shard.n_rows());
        share_with_before(shard, std::span(shared));
        struct Open {
            Row begin;
            std::uint32_t depth;
        };
        std::vector<Open> open{{0, 0}};
        const auto close = [&](Row end) {
            const auto [begin, depth] = open.back();
            open.pop_back();
            if (end - begin >= least_rows_ && depth <= max_context) {
                ranges_.insert(ranges_.end(), {begin, end});
                depths_.push_back(static_cast<std::uint8_t>(depth));
            }
            return begin;
        };
        for (Row row = 1; row < shard.n_rows(); ++row) {
            const std::uint32_t depth = shared[row];
            Row begin = row - 1;
            while (open.back().depth > depth) begin = close(row);
            if (open.back().depth < depth) open.push_back({begin, depth});
        }
        while (!open.empty()) close(shard.n_rows());
    }

    // A token met in the context that is open.
    struct Met {
        std::uint32_t code;
        Row before;           // rows up to the last one before this context that had it
        std::uint32_t first;  // rows of the shard that had it before
    };
    struct OpenContext {
        std::size_t table = 0;
        Range range;
        std::vector<Met> met;
    };
    struct PerCode {
        Row last = 0;  // rows up to the last one that had it
        std::uint32_t n = 0;
        TokenTree tree;
    };

    // The tables of the ranges found from `first` on.
    template <class Code>
    void count(const Shard<Code>& shard, std::size_t first) {
        if (first == depths_.size()) return;
        std::vector<std::size_t> by_begin(depths_.size() - first);
        for (std::size_t i = 0; i < by_begin.size(); ++i) by_begin[i] = first + i;
        std::ranges::sort(by_begin, [&](std::size_t a, std::size_t b) {
            return begin_of(a) != begin_of(b) ? begin_of(a) < begin_of(b) : a > b;
        });
        std::vector<PerCode> of_code(shard.n_codes());
        std::vector<OpenContext> open;  // as many as were ever open at once
        std::size_t n_open = 0;
        auto opens = by_begin.begin();
        const Code* next = shard.next();
        const std::uint8_t* same = shard.same();
        for (Row row = 0; row < shard.n_rows(); ++row) {
            for (; opens != by_begin.end() && begin_of(*opens) == row; ++opens) {
                if (n_open == open.size()) open.emplace_back();
                open[n_open].table = *opens;
                open[n_open].range = {row, ranges_[2 * *opens + 1]};
                open[n_open++].met.clear();
            }
            const std::uint32_t code = next[row];
            if (code >= of_code.size()) throw_corrupt("next");
            if (row != shard.end_row()) {
                PerCode& of = of_code[code];
                OpenContext& context = open[n_open - 1];  // all rows are one, if any are
                if (of.last <= context.range.begin) context.met.push_back({code, of.last, of.n});
                if (of.last == 0)
                    of.tree.start();
                else
                    of.tree.append_leaf(std::max<std::uint32_t>(same[row], 1), power_);
                of.last = row + 1;
                ++of.n;
            }
            while (n_open != 0 && open[n_open - 1].range.end == row + 1) {
                OpenContext& context = open[--n_open];
                write(context, of_code);
                if (n_open == 0) break;
                OpenContext& around = open[n_open - 1];
                for (const Met& met : context.met)
                    if (met.before <= around.range.begin) around.met.push_back(met);
            }
        }
    }

    void write(OpenContext& context, std::vector<PerCode>& of_code) {
        std::ranges::sort(context.met, {}, &Met::code);
        std::uint32_t least = 0;
        for (const Met& met : context.met) {
            PerCode& of = of_code[met.code];
            const auto [contexts, count] = of.tree.finish(depths_[context.table] + 1u, power_);
            const std::uint32_t matches = of.n - met.first;
            write_number(met.code - least, tokens_);
            write_number(matches, tokens_);
            write_number(contexts, tokens_);
            if (contexts != matches)
                for (std::uint64_t bits = std::bit_cast<std::uint64_t>(count), i = 0; i < 8; ++i)
                    tokens_.push_back(static_cast<std::uint8_t>(bits >> (8 * i)));
            least = met.code + 1;
        }
        offsets_.push_back(tokens_.size());
    }

    [[nodiscard]] Row begin_of(std::size_t table) const noexcept { return ranges_[2 * table]; }

    FixedPower power_;
    std::uint32_t least_rows_;
    std::vector<std::uint64_t> shards_{0};
    std::vector<std::uint32_t> ranges_;
    std::vector<std::uint8_t> depths_;
    std::vector<std::uint64_t> offsets_{0};
    std::vector<std::uint8_t> tokens_;
};

}  // namespace infgram
