// Interpolated Kneser-Ney of unbounded order (Kneser and Ney 1995, Chen and Goodman 1999, over all
// lengths as in Wood et al. 2009): every level gives its discounted continuation counts, and what
// it kept back goes to the next shorter one; behind the empty context lies the uniform
// distribution.
//
// The readable definition is src/infgram/estimators.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/alphabet.hpp"
#include "infgram/chain.hpp"
#include "infgram/context.hpp"
#include "infgram/continuation.hpp"
#include "infgram/discounts.hpp"
#include "infgram/tables.hpp"

namespace infgram {

// What all that estimate by one fit share. Immutable but for the cache, which is thread-safe.
struct KneserNeyModel {
    // n_rows: of the index, cache_bytes: for tables of ranges that are not wide (tables.hpp).
    KneserNeyModel(const FixedPower& exponent, Discounts corpus_discounts,
                   std::optional<Discounts> live_discounts, std::uint64_t n_rows,
                   std::size_t cache_bytes)
        : power(exponent),
          corpus(std::move(corpus_discounts)),
          live(std::move(live_discounts)),
          cache(n_rows, cache_bytes) {}

    FixedPower power;
    Discounts corpus;               // for levels of the corpus
    std::optional<Discounts> live;  // for levels of the live text
    mutable TableCache cache;
};

template <class Code>
class KneserNey {
public:
    KneserNey(std::shared_ptr<const KneserNeyModel> model, std::uint32_t n_codes)
        : model_(std::move(model)), counter_(n_codes, model_->power) {}

    // One level in the order of interpolation: the longest first, live text before the corpus.
    struct Step {
        std::uint32_t n;
        const ContinuationStatistics* statistics;
        const ContinuationTable* table;  // nullptr: the live text's level `live`
        std::size_t live;
        LevelShape shape;
    };

    // From now on, counts as if positions of a shard were not in the corpus. Ranges of more than
    // `held_out_rows` rows keep them: few of so many would be missing; and of very wide ones a
    // sample is counted.
    void hold_out(HeldOut held_out, std::size_t shard, std::uint64_t n_rows) {
        held_out_ = held_out;
        held_out_shard_ = shard;
        held_out_cache_ = std::make_unique<TableCache>(n_rows, held_out_cache_bytes);
    }

    // It looks at all levels.
    [[nodiscard]] static std::optional<std::size_t> n_levels() noexcept { return std::nullopt; }

    // Finds the levels of a context. The other methods answer for the context seen last.
    void look(const Context<Code>& context) {
        live_ = context.live();
        find_corpus_levels(context);
        find_live_levels();
        merge();
    }

    [[nodiscard]] std::span<const Step> steps() const noexcept { return steps_; }

    // The discounts of a step.
    [[nodiscard]] Discount discount(const Step& step) {
        const bool live = step.table == nullptr;
        return memo_(live ? *model_->live : model_->corpus, step.shape, live);
    }

    // What a step counted of a code, if anything.
    [[nodiscard]] std::optional<Continuation> token(const Step& step, std::uint32_t code) const {
        if (step.table == nullptr) return live_->token(step.live, code);
        const Continuation* found = step.table->find(code);
        return found != nullptr ? std::optional(*found) : std::nullopt;
    }

    // The tokens of the alphabet: those that follow anything.
    [[nodiscard]] double n_known() const { return static_cast<double>(known_->tokens.size()); }

    // O(levels).
    [[nodiscard]] double prob(std::uint32_t code) {
        double prob = 0.0;
        double rest = 1.0;
        for (const Step& step : steps_) {
            const Discount kept = discount(step);
            if (const auto found = token(step, code)) prob += rest * share(*found, kept, step);
            rest *= kept_back(kept, step);
        }
        return known_->find(code) != nullptr ? prob + rest / n_known() : prob;
    }

    // Every token has a weight, so none is left alone and there is nothing to back off to.
    [[nodiscard]] static std::uint32_t only_code() { return Alphabet::unknown; }
    static bool back_off() { return false; }

    // Probabilities of all codes; they sum to one.
    void weigh(Weights& weights) {
        double rest = 1.0;
        for (const Step& step : steps_) {
            const Discount kept = discount(step);
            const auto add = [&](const Continuation& token) {
                weights.of[token.code] += rest * share(token, kept, step);
            };
            if (step.table != nullptr)
                std::ranges::for_each(step.table->tokens, add);
            else
                live_->for_each_token(
                    step.live, [&](const Continuation& token, std::uint32_t) { add(token); });
            rest *= kept_back(kept, step);
        }
        const double uniform = rest / n_known();
        for (const Continuation& token : known_->tokens) weights.of[token.code] += uniform;
        for (std::uint32_t code = 0; code < weights.of.size(); ++code)
            if (weights.of[code] != 0.0) weights.codes.push_back(code);
    }

    static double share(const Continuation& token, const Discount& kept, const Step& step) {
        return (token.count - kept[std::min(token.contexts, 3u) - 1]) / step.statistics->total;
    }
    static double kept_back(const Discount& kept, const Step& step) {
        double sum = 0.0;
        for (std::size_t k = 0; k < 3; ++k) sum += kept[k] * step.statistics->types[k];
        return sum / step.statistics->total;
    }

private:
    static constexpr std::uint32_t held_out_rows = 1u << 14;
    static constexpr std::uint32_t held_out_sample_rows = 1u << 16;
    static constexpr std::size_t held_out_cache_bytes = std::size_t{1} << 26;

    struct CorpusLevel {
        std::uint32_t n;
        const ContinuationTable* table;
    };

    void find_corpus_levels(const Context<Code>& context) {
        corpus_levels_.clear();
        n_scratch_ = 0;
        const auto shards = context.shards();
        std::uint64_t last_m = 0;
        for_each_level(shards, context.chains(), -1, ranges_,
                       [&](std::uint32_t n, std::uint64_t m, std::span<const Range> ranges) {
                           const auto* table =
                               table_of(shards, std::min(n, max_context), ranges, m);
                           if (table->m <= last_m) return;
                           last_m = table->m;
                           corpus_levels_.push_back({n, table});
                       });
        everything_.clear();
        std::uint64_t m = 0;
        for (const auto& s : shards) {
            everything_.push_back(s.all());
            m += s.m(s.all());
        }
        known_ = table_of(shards, 0, everything_, m);
        corpus_levels_.push_back({0, known_});
    }

    const ContinuationTable* table_of(std::span<const Shard<Code>> shards, std::uint32_t n,
                                      std::span<const Range> ranges, std::uint64_t m) {
        const bool leave_out = held_out_.any() && m <= held_out_rows;
        TableCache& cache = leave_out ? *held_out_cache_ : model_->cache;
        const bool keep = m > TableCache::narrow_rows;
        if (keep)
            if (const auto* known = cache.find(n, ranges)) return known;
        if (n_scratch_ == scratch_.size())
            scratch_.push_back(std::make_unique<ContinuationTable>());
        ContinuationTable& table = *scratch_[n_scratch_++];
        if (m == 1 && shards.size() == 1 && ranges[0].size() == 1 && !leave_out) {
            table.tokens.assign(1, {shards[0].next()[ranges[0].begin], 1, 1.0});
            if (table.tokens[0].code >= shards[0].n_codes()) throw_corrupt("next");
            table.total = 1.0;
            table.types = {1, 0, 0};
            table.m = 1;
            return &table;
        }
        for (std::size_t s = 0; s < shards.size(); ++s)
            if (!ranges[s].empty()) {
                if (held_out_.any())
                    counter_.add_sample(shards[s], ranges[s], n,
                                        leave_out && s == held_out_shard_ ? held_out_ : HeldOut{},
                                        held_out_sample_rows);
                else
                    counter_.add(shards[s], ranges[s], n);
            }
        counter_.finish(table);
        if (held_out_.any() && !leave_out) table.m = m;
        if (keep) cache.insert(n, ranges, table);
        return &table;
    }

    void find_live_levels() {
        live_statistics_.clear();
        if (live_ == nullptr) return;
        for (std::size_t i = 0; i < live_->levels().size(); ++i)
            live_statistics_.push_back(live_->statistics(i));
    }

    // Both kinds of levels by falling n, each with its shape.
    void merge() {
        steps_.clear();
        std::size_t c = 0;
        std::size_t l = live_statistics_.size();
        while (c < corpus_levels_.size() || l > 0) {
            const bool is_live = l > 0 && (c == corpus_levels_.size() ||
                                           live_->levels()[l - 1].n >= corpus_levels_[c].n);
            if (is_live) {
                --l;
                const auto& statistics = live_statistics_[l];
                const auto n = live_->levels()[l].n;
                steps_.push_back({n, &statistics, nullptr, l,
                                  shape(n, statistics, l > 0 ? live_->levels()[l - 1].n : 0,
                                        l > 0 ? &live_statistics_[l - 1] : nullptr)});
            } else {
                const auto [n, table] = corpus_levels_[c++];
                const bool last = c == corpus_levels_.size();
                steps_.push_back({n, table, table, 0,
                                  shape(n, *table, last ? 0 : corpus_levels_[c].n,
                                        last ? nullptr : corpus_levels_[c].table)});
            }
        }
    }

    LevelShape shape(std::uint32_t n, const ContinuationStatistics& level, std::uint32_t n_shorter,
                     const ContinuationStatistics* shorter) {
        return {n,
                n_shorter,
                level.n_types(),
                shorter != nullptr ? shorter->n_types() : 0,
                level.m,
                corpus_levels_.front().n,
                live_ != nullptr ? live_->levels().back().n : 0,
                level.types[0] == level.n_types()};
    }

    std::shared_ptr<const KneserNeyModel> model_;
    ContinuationCounter counter_;
    DiscountMemo memo_;
    const LiveText* live_ = nullptr;
    const ContinuationTable* known_ = nullptr;  // of the empty context
    std::vector<CorpusLevel> corpus_levels_;    // longest first
    std::vector<ContinuationStatistics> live_statistics_;
    std::vector<Step> steps_;
    std::vector<std::unique_ptr<ContinuationTable>> scratch_;
    std::size_t n_scratch_ = 0;
    std::vector<Range> ranges_;
    std::vector<Range> everything_;
    HeldOut held_out_;
    std::size_t held_out_shard_ = 0;
    std::unique_ptr<TableCache> held_out_cache_;
};

}  // namespace infgram
