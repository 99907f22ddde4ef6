// Continuation counts: in how many different contexts, one token longer, a token follows a context.
//
// They are read off the column `same`, which tells for each row how much of its context the nearest
// earlier row with the same next token shares: those rows are the leaves of a tree, and `same` is
// the depth at which neighbours part. With exponent 0 a count is that of Kneser and Ney (1995), the
// number of children of the tree's node. With an exponent above 0 a child passes on a power of its
// own count instead of 1, as the customers of a hierarchical Pitman-Yor process do (Teh 2006).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "infgram/rows/match64.hpp"
#include "infgram/rows/shard.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

// Contexts are told apart up to this many tokens: `same` saturates behind it.
inline constexpr std::uint32_t max_context = 253;

// x to a fixed power from 0 to 1. Most counts are small whole numbers: a table.
class FixedPower {
public:
    explicit FixedPower(double exponent) : exponent_(exponent) {
        for (std::size_t i = 0; i < known_.size(); ++i)
            known_[i] = std::pow(static_cast<double>(i), exponent);
    }
    [[nodiscard]] double exponent() const noexcept { return exponent_; }
    [[nodiscard]] double operator()(double x) const noexcept {
        if (x == 1.0) return x;
        const auto whole = static_cast<std::size_t>(x);
        return whole < known_.size() && static_cast<double>(whole) == x ? known_[whole]
                                                                        : std::pow(x, exponent_);
    }

private:
    double exponent_;
    std::array<double, 64> known_{};
};

// One next token of a context.
struct Continuation {
    std::uint32_t code;
    std::uint32_t contexts;     // different contexts, one token longer, that it follows
    double count;               // what they pass on: at least `contexts`
    std::uint32_t matches = 0;  // how often it follows; 0 in a live text, which tells it beside
};

// What a context passes on to its next tokens.
struct ContinuationStatistics {
    double total = 0.0;                    // of all counts
    std::array<std::uint32_t, 3> types{};  // next tokens with 1, 2, and more contexts
    std::uint64_t m = 0;                   // matches that have a next token

    [[nodiscard]] std::uint32_t n_types() const noexcept { return types[0] + types[1] + types[2]; }
    void add(const Continuation& token) noexcept {
        total += token.count;
        ++types[std::min(token.contexts, 3u) - 1];
    }
};

struct ContinuationTable : ContinuationStatistics {
    std::vector<Continuation> tokens;     // rising codes: written by `append` and `clear` alone
    std::vector<std::uint32_t> heaviest;  // places of the largest counts, where they are asked for

    void clear() noexcept {
        static_cast<ContinuationStatistics&>(*this) = {};
        tokens.clear();
        heaviest.clear();
        low_.fill(0);
    }
    // Of a higher code than those before.
    void append(const Continuation& token) {
        add(token);
        tokens.push_back(token);
        if (token.code < n_low) low_[token.code / 64] |= bit_of(token.code);
    }

    // The token's entry, or nullptr. Of low codes, which are all that bytes and most characters
    // have, in constant time: which of them are there is kept beside. O(log n_types) of others.
    [[nodiscard]] const Continuation* find(std::uint32_t code) const noexcept {
        if (code >= n_low) {
            const auto at = std::ranges::lower_bound(tokens, code, {}, &Continuation::code);
            return at != tokens.end() && at->code == code ? &*at : nullptr;
        }
        const std::uint64_t here = low_[code / 64];
        if ((here & bit_of(code)) == 0) return nullptr;
        std::uint32_t before = count_bits(here & (bit_of(code) - 1));
        for (std::uint32_t i = 0; i < code / 64; ++i) before += count_bits(low_[i]);
        return &tokens[before];
    }

private:
    static constexpr std::uint32_t n_low = 256;
    static std::uint64_t bit_of(std::uint32_t code) noexcept {
        return std::uint64_t{1} << code % 64;
    }
    std::array<std::uint64_t, n_low / 64> low_{};
};

// Which rows a count leaves out: those whose position lies in [begin, end). None by default.
struct HeldOut {
    Position begin = 0;
    Position end = 0;
    [[nodiscard]] bool any() const noexcept { return begin != end; }
    [[nodiscard]] bool operator()(Position p) const noexcept { return begin <= p && p < end; }
};

// The tree of one token's rows, while they are read from left to right: the nodes on the way from
// its root to the last leaf, each with the sum of what its finished children pass on. Depths are as
// `same` has them: one more than the tokens shared.
class TokenTree {
public:
    // With its first leaf.
    void start() noexcept {
        path_.clear();
        pending_ = 1.0;
    }
    // depth: what the leaf shares with the one before.
    void append_leaf(std::uint32_t depth, const FixedPower& power) {
        finish_below(depth, power);
        if (path_.empty() || path_.back().depth != depth) path_.push_back({depth, 0, 0.0});
        path_.back().passed += power(pending_);
        ++path_.back().n_finished;
        pending_ = 1.0;
    }

    struct Counted {
        std::uint32_t contexts;
        double count;
    };
    // What a context has of this token whose rows, as far as they were read, share as much as
    // `root` says: those of its rows that come next share less. The tree goes on behind.
    Counted finish(std::uint32_t root, const FixedPower& power) {
        finish_below(root, power);
        if (path_.empty() || path_.back().depth != root) return {1, power(pending_)};
        const std::uint32_t contexts = path_.back().n_finished + 1;
        finish_node(power);
        return {contexts, pending_};
    }

private:
    struct Node {
        std::uint32_t depth;
        std::uint32_t n_finished;  // children
        double passed;
    };
    void finish_below(std::uint32_t depth, const FixedPower& power) {
        while (!path_.empty() && path_.back().depth > depth) finish_node(power);
    }
    void finish_node(const FixedPower& power) {
        pending_ = path_.back().passed + power(pending_);
        path_.pop_back();
    }

    std::vector<Node> path_;
    double pending_ = 0.0;  // count of the last finished child, not passed on yet
};

// Counts ranges, one after another: scratch space that is used again. Not for two threads.
class ContinuationCounter {
public:
    ContinuationCounter(std::uint32_t n_codes, const FixedPower& power)
        : power_(power), of_code_(n_codes) {}

    // Adds the rows of a shard that share exactly the last n tokens or more, n <= max_context.
    // O(range). The counts of several shards add up.
    template <class Code>
    void add(const Shard<Code>& shard, Range range, std::uint32_t n, HeldOut held_out = {}) {
        read(shard, range, n, held_out);
        close(n);
    }

    // Adds what a token has in a shard whose rows were counted before.
    void add(const Continuation& token) {
        PerCode& of = of_code_[token.code];
        if (of.contexts == 0) counted_.push_back(token.code);
        of.contexts += token.contexts;
        of.matches += token.matches;
        of.count += token.count;
        m_ += token.matches;
    }

    // The same, but of a range of more than max_rows the rows of evenly spaced parts alone: an
    // approximation for what need not be exact.
    template <class Code>
    void add_sample(const Shard<Code>& shard, Range range, std::uint32_t n, HeldOut held_out,
                    std::uint32_t max_rows) {
        constexpr std::uint32_t n_parts = 32;
        if (range.size() <= max_rows) return add(shard, range, n, held_out);
        const std::uint32_t step = range.size() / n_parts;
        for (std::uint32_t part = 0; part < n_parts; ++part) {
            const Row begin = range.begin + part * step;
            read(shard, {begin, begin + max_rows / n_parts}, n, held_out);
        }
        close(n);
    }

    // Counts a range of few rows of one shard at once, code by code. What all codes have, which
    // are far apart in memory, are not touched. O(rows log rows).
    template <class Code>
    void count_few(const Shard<Code>& shard, Range range, std::uint32_t n,
                   ContinuationTable& table) {
        table.clear();
        few_.clear();
        for (Row row = range.begin; row != range.end; ++row) {
            if (row == shard.end_row()) continue;  // the end of the text has no next token
            const std::uint32_t code = shard.next()[row];
            if (code >= of_code_.size()) throw_corrupt("next");
            const std::uint32_t depth = std::max<std::uint32_t>(shard.same()[row], n + 1);
            few_.push_back({std::uint64_t{code} << 32 | row, depth});
        }
        table.m = few_.size();
        std::ranges::sort(few_, {}, &FewRow::code_and_row);
        for (std::size_t i = 0; i != few_.size();) {
            const auto code = static_cast<std::uint32_t>(few_[i].code_and_row >> 32);
            const std::size_t first = i;
            tree_of_few_.start();
            while (++i != few_.size() && few_[i].code_and_row >> 32 == code)
                tree_of_few_.append_leaf(few_[i].depth, power_);
            const auto [contexts, count] = tree_of_few_.finish(n + 1, power_);
            table.append({code, contexts, count, static_cast<std::uint32_t>(i - first)});
        }
    }

    // Writes what was added since the last time.
    void finish(ContinuationTable& table) {
        table.clear();
        table.m = std::exchange(m_, 0);
        std::ranges::sort(counted_);
        for (const std::uint32_t code : counted_) {
            PerCode& of = of_code_[code];
            table.append({code, of.contexts, of.count, of.matches});
            of.contexts = 0;
            of.matches = 0;
            of.count = 0.0;
        }
        counted_.clear();
    }

private:
    static constexpr std::uint32_t nothing_skipped = ~0u;

    template <class Code>
    void read(const Shard<Code>& shard, Range range, std::uint32_t n, HeldOut held_out) {
        if (shard.has_end(range)) {  // the end of the text has no next token
            read(shard, {range.begin, shard.end_row()}, n, held_out);
            read(shard, {shard.end_row() + 1, range.end}, n, held_out);
        } else if (held_out.any()) {
            read_rows<true>(shard, range, n, held_out);
        } else {
            read_rows<false>(shard, range, n, held_out);
        }
    }

    template <bool leave_out, class Code>
    void read_rows(const Shard<Code>& shard, Range range, std::uint32_t n, HeldOut held_out) {
        const std::uint32_t root = n + 1;  // how `same` writes that n tokens are shared
        for (Row row = range.begin; row != range.end; ++row) {
            const std::uint32_t code = shard.next()[row];
            if (code >= of_code_.size()) throw_corrupt("next");
            PerCode& of = of_code_[code];
            std::uint32_t depth = std::max<std::uint32_t>(shard.same()[row], root);
            if constexpr (leave_out) {
                // Rows before and after one that is left out share what both share with it.
                if (of.is_open) of.skipped = std::min(of.skipped, depth);
                if (held_out(shard.position(row))) continue;
                depth = std::exchange(of.skipped, nothing_skipped);
            }
            ++m_;
            ++of.matches;
            if (!of.is_open) {
                of.is_open = true;
                of.tree.start();
                open_.push_back(code);
            } else {
                of.tree.append_leaf(depth, power_);
            }
        }
    }

    // The end of what a shard has.
    void close(std::uint32_t n) {
        for (const std::uint32_t code : open_) {
            PerCode& of = of_code_[code];
            const auto [contexts, count] = of.tree.finish(n + 1, power_);
            if (of.contexts == 0) counted_.push_back(code);
            of.contexts += contexts;
            of.count += count;
            of.is_open = false;
            of.skipped = nothing_skipped;
        }
        open_.clear();
    }

    struct PerCode {
        bool is_open = false;  // in the shard being added
        std::uint32_t skipped = nothing_skipped;
        std::uint32_t contexts = 0;  // counted, as matches and count are: in all shards
        std::uint32_t matches = 0;
        double count = 0.0;
        TokenTree tree;
    };

    struct FewRow {
        std::uint64_t code_and_row;
        std::uint32_t depth;
    };

    FixedPower power_;
    std::vector<PerCode> of_code_;
    std::vector<std::uint32_t> open_;     // codes met in the shard being added
    std::vector<std::uint32_t> counted_;  // codes met in any shard
    std::uint64_t m_ = 0;
    std::vector<FewRow> few_;
    TokenTree tree_of_few_;
};

}  // namespace infgram
