// The walk over levels that interpolated Kneser-Ney makes: levels of a corpus and of texts that
// grow, the longest first, each with its tokens and with what its discounts depend on. Estimating,
// fitting and drafting read the same steps; a level's tokens are not counted before it is read.
//
// Thread-safety: none. A walk is used again for one context after another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/chain.hpp"
#include "infgram/contexts/continuation.hpp"
#include "infgram/contexts/live.hpp"
#include "infgram/models/corpus_tables.hpp"
#include "infgram/models/discounts.hpp"

namespace infgram {

// How long the longest levels of a context are, in corpora and in texts that grow.
struct Reach {
    std::uint32_t corpus = 0;
    std::uint32_t live = 0;
};

// A level: of a corpus, whose tokens are in `table`, or of a text that grows.
struct Step {
    std::uint32_t n = 0;
    const ContinuationTable* table = nullptr;
    LiveLevel live{};
    const ContinuationStatistics* statistics = nullptr;
    LevelShape shape;

    [[nodiscard]] bool is_live() const noexcept { return table == nullptr; }
    // What it keeps back for shorter levels, as a share of its tokens.
    [[nodiscard]] double kept_back(const Discount& kept) const noexcept {
        double sum = 0.0;
        for (std::size_t k = 0; k < 3; ++k) sum += kept[k] * statistics->types[k];
        return sum / statistics->total;
    }
};

// What a level gives to a token, before it is divided by the level's total.
inline double discounted(const Continuation& token, const Discount& kept) noexcept {
    return token.count - kept[std::min(token.contexts, 3u) - 1];
}

// What a level's discounts depend on; nullptr: there is no shorter one of its kind.
inline LevelShape shape_of(std::uint32_t n, const ContinuationStatistics& level,
                           std::uint32_t n_shorter, const ContinuationStatistics* shorter,
                           const Reach& reach) noexcept {
    const std::uint32_t n_types = level.n_types();
    return {n,       n_shorter,    n_types,    shorter != nullptr ? shorter->n_types() : 0,
            level.m, reach.corpus, reach.live, level.types[0] == n_types};
}

// The levels of a corpus. Borrows its shards, the cache, and what is kept of wide ranges, if
// anything is.
template <class Code>
class CorpusLevels {
public:
    CorpusLevels(std::span<const Shard<Code>> shards, const FixedPower& power, TableCache& cache,
                 const WideTables* wide = nullptr)
        : shards_(shards), tables_(n_codes_of(shards), power, cache, wide) {
        if (wide != nullptr && wide->n_shards() != shards.size()) throw_wide_damaged();
        for (const auto& shard : shards) {
            everything_.push_back(shard.all());
            m_ += shard.m(shard.all());
        }
    }

    // How tables are counted.
    [[nodiscard]] CorpusTables<Code>& tables() noexcept { return tables_; }

    // Finds the levels of a context, whose chains these are, one a shard. Steps are good until
    // then.
    void look(std::span<const Chain> chains) {
        find(chains);
        begin();
    }
    // The same in two: between them memory brings what levels have, if there is something to do.
    void find(std::span<const Chain> chains) {
        levels_.clear();
        ranges_.clear();
        tables_.clear();
        for_each_level(shards_, chains, -1, scratch_,
                       [&](std::uint32_t n, std::uint64_t m, std::span<const Range> ranges) {
                           levels_.push_back({n, m});
                           tables_.prefetch(shards_, n, ranges, m);
                           for (const Range range : ranges) ranges_.push_back(range);
                       });
        for (std::size_t i = 0; i < levels_.size(); ++i)
            tables_.prefetch_table(levels_[i].n, ranges(i), levels_[i].m);
        levels_.push_back({0, m_});
        ranges_.insert(ranges_.end(), everything_.begin(), everything_.end());
    }
    void begin() {
        at_ = 0;
        last_m_ = 0;
        count();
        longest_ = levels_[at_].n;
    }

    // Tokens of the next level; the last one is the empty context.
    [[nodiscard]] std::optional<std::uint32_t> next() const noexcept {
        return at_ != levels_.size() ? std::optional(levels_[at_].n) : std::nullopt;
    }
    [[nodiscard]] std::uint32_t longest() const noexcept { return longest_; }

    void read(const Reach& reach, Step& step) {
        step.n = levels_[at_].n;
        step.table = table_;
        step.statistics = table_;
        if (++at_ != levels_.size()) {
            count();
            step.shape = shape_of(step.n, *step.table, levels_[at_].n, table_, reach);
        } else {
            step.shape = shape_of(step.n, *step.table, 0, nullptr, reach);
        }
    }

    [[nodiscard]] std::optional<Continuation> token(const Step& step, std::uint32_t code) const {
        const Continuation* found = step.table->find(code);
        return found != nullptr ? std::optional(*found) : std::nullopt;
    }
    template <class Visit>
    void for_each_token(const Step& step, Visit&& visit) const {
        std::ranges::for_each(step.table->tokens, visit);
    }

private:
    struct CorpusLevel {
        std::uint32_t n;
        std::uint64_t m;
    };

    [[nodiscard]] std::span<const Range> ranges(std::size_t level) const {
        return std::span(ranges_).subspan(level * shards_.size(), shards_.size());
    }

    // Counts the next level. Where positions are left out, what gains no match is no level.
    void count() {
        for (;; ++at_) {
            table_ = tables_.of(shards_, levels_[at_].n, ranges(at_), levels_[at_].m);
            if (table_->m > last_m_ || at_ + 1 == levels_.size()) break;
        }
        last_m_ = table_->m;
    }

    std::span<const Shard<Code>> shards_;
    CorpusTables<Code> tables_;
    std::vector<Range> everything_;    // of each shard
    std::uint64_t m_ = 0;              // of it
    std::vector<CorpusLevel> levels_;  // longest first, the empty context last
    std::vector<Range> ranges_;        // of each level, one a shard
    std::vector<Range> scratch_;
    std::size_t at_ = 0;                        // the next level to be read
    const ContinuationTable* table_ = nullptr;  // its
    std::uint64_t last_m_ = 0;
    std::uint32_t longest_ = 0;
};

// The levels of a text that grows.
class LiveLevels {
public:
    // Finds the levels of what the text's end becomes with more codes behind it. nullptr: no text.
    void look(const LiveText* text, std::span<const std::uint32_t> more = {}) {
        text_ = text;
        levels_.clear();
        if (text != nullptr && !text->empty()) {
            if (more.empty())
                levels_.assign(text->levels().begin(), text->levels().end());
            else
                text->find_levels(more, levels_);
        }
        left_ = levels_.size();
        if (left_ != 0) of_next_ = &text_->statistics(levels_[left_ - 1], inside_);
    }

    [[nodiscard]] std::optional<std::uint32_t> next() const noexcept {
        return left_ != 0 ? std::optional(levels_[left_ - 1].n) : std::nullopt;
    }
    [[nodiscard]] std::uint32_t longest() const noexcept {
        return levels_.empty() ? 0 : levels_.back().n;
    }

    void read(const Reach& reach, Step& step) {
        step.live = levels_[--left_];
        step.n = step.live.n;
        step.table = nullptr;
        step.statistics = of_next_;
        if (left_ != 0) {
            const LiveLevel& shorter = levels_[left_ - 1];
            of_next_ = &text_->statistics(shorter, inside_);
            step.shape = shape_of(step.n, *step.statistics, shorter.n, of_next_, reach);
        } else {
            step.shape = shape_of(step.n, *step.statistics, 0, nullptr, reach);
        }
    }

    // Asks memory for what `token` reads.
    void prefetch(std::uint32_t code) const noexcept {
        for (const LiveLevel& level : levels_) text_->prefetch(level, code);
        for (const LiveLevel& level : levels_) text_->prefetch_token(level, code);
    }
    [[nodiscard]] std::optional<Continuation> token(const Step& step, std::uint32_t code) const {
        return text_->token(step.live, code);
    }
    template <class Visit>
    void for_each_token(const Step& step, Visit&& visit) const {
        text_->for_each_token(step.live,
                              [&](const Continuation& token, std::uint32_t) { visit(token); });
    }

private:
    const LiveText* text_ = nullptr;
    std::vector<LiveLevel> levels_;  // shortest first
    ContinuationStatistics inside_;  // of the longest, where it lies inside an edge
    const ContinuationStatistics* of_next_ = nullptr;
    std::size_t left_ = 0;  // levels that were not read
};

}  // namespace infgram
